"""The control interface where the operator asked for none: on a socket in the service's runtime
directory, for root."""

import json
import stat

SOCKET = "/run/finback/control.sock"


def test_the_command_reaches_the_service_without_arguments(service, sandbox):
    service.start()
    assert service.ask(b"x") == b"a:x"
    status = json.loads(sandbox.check("finbackctl", "status", "--json"))
    assert status["pid"] == int(service.show("MainPID"))
    assert status["listeners"][0]["accepted"] == 1
    assert "front" in sandbox.check("finbackctl", "status")


def test_nobody_else_may_use_the_socket(service, sandbox):
    service.start()
    mode = int(sandbox.check("stat", "-c", "%f", SOCKET), 16)
    assert stat.S_ISSOCK(mode) and not mode & 0o077
    refused = sandbox.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                          "finbackctl", "status")
    assert refused["status"] == 69, refused
    assert SOCKET in refused["stderr"]


def test_the_socket_goes_with_the_service(service, sandbox):
    service.start()
    sandbox.check("systemctl", "stop", "finback.service")
    assert sandbox.run("test", "-e", SOCKET)["status"] != 0
    refused = sandbox.run("finbackctl", "status")
    assert refused["status"] == 69 and SOCKET in refused["stderr"]
