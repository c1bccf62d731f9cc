"""A UNIX peer may pass descriptors along: they end here, and the bytes around them go on."""

import os
import socket

import pytest

from lib.daemon import SIDES, Relay


@pytest.mark.parametrize("side", SIDES)
def test_bytes_behind_a_passed_descriptor_go_on(side):
    with Relay("unix", "unix") as relay:
        sender, receiver = relay.greeted_sides(side)
        with open(os.devnull, "rb") as passed:
            socket.send_fds(sender.sock, [b"a"], [passed.fileno()])
            sender.send(b"b")
            assert receiver.receive(2) == b"ab"
