"""Urgent bytes are relayed like all others: none is lost, and all stay in their place."""

import pytest

from lib.daemon import SIDES, Relay
from lib.peers import Background, random_bytes

CASES = [(side, family) for side in SIDES for family in ("ipv4", "unix")]


def over(family):
    """UNIX sockets know urgent data too."""
    return Relay(client_family=family, server_family=family)


@pytest.mark.parametrize("side, family", CASES)
def test_between_other_bytes(side, family):
    rest = random_bytes(30_000)
    with over(family) as relay:
        sender, reader = relay.sides(side)
        sender.send(b"ab")
        sender.send_urgent(b"c")
        sender.send(rest)
        assert reader.receive(3 + len(rest)) == b"abc" + rest


@pytest.mark.parametrize("side, family", CASES)
def test_alone(side, family):
    with over(family) as relay:
        sender, reader = relay.sides(side)
        sender.send_urgent(b"!")
        assert reader.receive(1) == b"!"
        reader.send_urgent(b"?")
        assert sender.receive(1) == b"?"


@pytest.mark.parametrize("side, family", CASES)
def test_several_marks(side, family):
    with over(family) as relay:
        sender, reader = relay.sides(side)
        for _ in range(20):
            sender.send(b"plain ")
            sender.send_urgent(b"urgent ")
        assert reader.receive(20 * 13) == b"plain urgent " * 20


@pytest.mark.parametrize("side, family", CASES)
def test_before_the_fin(side, family):
    with over(family) as relay:
        sender, reader = relay.sides(side)
        sender.send(b"data")
        sender.send_urgent(b"!")
        sender.half_close()
        assert reader.read_to_eof() == b"data!"


@pytest.mark.parametrize("side, family", CASES)
def test_first_byte_of_all_found_with_the_fin(side, family):
    """The mark, bytes behind it and the FIN are found in one turn."""
    with over(family) as relay:
        sender, reader = relay.sides(side)
        with relay.stopped():
            sender.send_urgent(b"!")
            sender.send(b"behind")
            sender.half_close()
        assert reader.read_to_eof() == b"!behind"


def test_before_the_session_was_accepted():
    with Relay() as relay:
        with relay.stopped():
            client = relay.connect()
            client.send_urgent(b"!")
            client.send(b"behind")
        assert relay.backend.accept().receive(7) == b"!behind"


@pytest.mark.parametrize("side", SIDES)
def test_in_a_half_closed_session(side):
    with Relay() as relay:
        first, second = relay.sides(side)
        first.half_close()
        assert second.read_to_eof() == b""
        second.send(b"still ")
        second.send_urgent(b"urgent")
        second.half_close()
        assert first.read_to_eof() == b"still urgent"


@pytest.mark.parametrize("side", SIDES)
def test_in_a_bulk_transfer(side):
    data = random_bytes(2 << 20)
    with Relay() as relay:
        sender, reader = relay.sides(side)

        def send():
            for start in range(0, len(data), 65536):
                sender.send(data[start:start + 65535])
                sender.send_urgent(data[start + 65535:start + 65536])
            sender.half_close()

        sending = Background(send)
        assert reader.read_to_eof() == data
        sending.result()
