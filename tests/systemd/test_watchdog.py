"""The watchdog: kept quiet by a service that lives, and there when it hangs."""

import time

from sandbox import eventually


def test_the_unit_has_one(service):
    service.start()
    assert service.show("WatchdogUSec") == "10s"


def test_a_service_that_lives_survives_and_one_that_hangs_is_replaced(service, sandbox):
    service.drop_in("[Service]\nWatchdogSec=1\n")
    service.start()
    pid = service.show("MainPID")
    time.sleep(2.5)
    assert service.show("MainPID") == pid
    assert service.show("NRestarts") == "0"
    assert service.ask(b"x") == b"a:x"

    sandbox.check("kill", "-STOP", pid)
    eventually(lambda: service.show("NRestarts") == "1", "a restart")
    eventually(lambda: service.show("ActiveState") == "active", "active again")
    assert service.show("MainPID") != pid
    assert service.ask(b"x") == b"a:x"
