"""server: which there are, and whether they get new sessions."""

import json
import re

import pytest

from ctl import REFUSED, ControlledRelay
from lib.peers import Backend


@pytest.fixture(name="relay")
def _relay():
    """A pool of two: one on TCP, one named "other" on a UNIX socket."""
    other = Backend("unix")
    with ControlledRelay() as relay:
        relay.own(other)
        relay.other = other
        relay.listener["servers"] = (relay.backend.address,
                                     {"address": other.address, "name": "other", "weight": 2})
        relay.reload(relay.config)
        yield relay


def test_list(relay):
    lines = [line.split() for line in relay.ctl("server").splitlines()]
    assert [line[:4] for line in lines[1:]] == [["web", relay.backend.address, "ready", "yes"],
                                                ["web", "other", "ready", "yes"]]
    assert lines[2][-2:] == ["2", relay.other.address]
    assert relay.ctl("server", "web") == relay.ctl("server")
    servers = json.loads(relay.ctl("server", "--json"))["servers"]
    assert [server["name"] for server in servers] == [relay.backend.address, "other"]


def test_one(relay):
    text = relay.ctl("server", f"web/{relay.backend.address}")
    assert f"server    web/{relay.backend.address}\n" in text
    assert re.search(r"^state +ready, up$", text, re.M)
    assert re.search(r"^connects +0 ok$", text, re.M)
    assert json.loads(relay.ctl("server", "web/other", "--json"))["weight"] == 2


@pytest.mark.parametrize("state, up", (("drain", "up"), ("maint", "down")))
def test_one_that_is_drained_gets_nothing(relay, state, up):
    text = relay.ctl("server", "web/other", state)
    assert re.search(rf"^state +{state}, {up}$", text, re.M)
    for _ in range(5):
        relay.connect()
        relay.backend.accept()
    relay.other.expect_nobody(0.2)
    assert re.search(r"^state +ready, up$", relay.ctl("server", "web/other", "ready"), re.M)
    relay.ctl("server", f"web/{relay.backend.address}", "drain")
    relay.connect()
    relay.other.accept()


def test_state_outlives_a_reload(relay):
    relay.ctl("server", "web/other", "drain")
    relay.ctl("reload")
    assert "drain" in relay.ctl("server", "web/other")


@pytest.mark.parametrize("target, missing", (("web/nobody", "nobody"), ("nowhere/other", "nowhere"),
                                             ("nowhere", "nowhere"),
                                             ("no where?/o#th%er", "no where?"),
                                             ("web/../../status", "../../status")))
def test_what_is_not_there(relay, target, missing):
    assert missing in relay.ctl("server", target, status=REFUSED)
    if "/" in target:
        assert missing in relay.ctl("server", target, "drain", status=REFUSED)


def test_name_with_a_path_in_it():
    """A UNIX socket's address is its name, slashes and all."""
    with ControlledRelay(server_family="unix") as relay:
        relay.ctl("server", f"web/{relay.backend.address}", "drain")
        assert f"web/{relay.backend.address}" in relay.ctl("server", f"web/{relay.backend.address}")
        assert relay.ctl("server").split()[-1] == relay.backend.address
