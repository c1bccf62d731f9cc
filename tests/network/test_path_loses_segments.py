"""Over a path that loses segments all is as on a good one, only later: bytes whole, each end of
file once, urgent bytes in line, and a reset after the tail."""

import socket

import pytest

from lab import FAMILIES, Relay, lose, lose_first_fins, talk
from lib.daemon import SIDES, other
from lib.peers import Background, eventually, random_bytes

PERCENT = 10
LOST_FINS = 3
BULK = random_bytes(2 << 20)
PART = BULK[:1 << 18]
# With these a reset that got lost, or that was ahead of lost bytes, is asked for again.
PROBED = {side: {"keepalive": {"idle": "1s", "interval": "1s", "count": 20}} for side in SIDES}


def make_lossy(lab, *sides):
    for side in sides:
        lab.hurry(side)
        lab.fault(side, towards=lose(PERCENT), away=lose(PERCENT))


def expect_losses(lab):
    assert lab.dropped_in_all() > 20


def send_urgent(sender, data):
    """A full buffer may take a part at a time; there is a mark behind each."""
    while data:
        data = data[sender.sock.send(data, socket.MSG_OOB):]


# Bytes and ends of file

@pytest.mark.parametrize("family", FAMILIES)
def test_transfer_both_ways(lab, family):
    with Relay(lab, family) as relay:
        client, server = relay.sides("client")
        make_lossy(lab, *SIDES)
        calls = [Background(peer.send_and_half_close, BULK) for peer in (client, server)]
        readers = [Background(peer.read_to_eof) for peer in (client, server)]
        for call in calls:
            call.result()
        for reader in readers:
            assert reader.result() == BULK
        session = relay.wait_session()
        assert session["ending"] == "complete"
        for side in SIDES:
            assert session[f"bytes_from_{side}"] == len(BULK) + len(b"a word")
        expect_losses(lab)


@pytest.mark.parametrize("side", SIDES)
def test_answer_after_half_close(lab, side):
    """One flow ends long before the other begins, both over losses on that peer's path."""
    with Relay(lab) as relay:
        asks, answers = relay.sides(side)
        make_lossy(lab, side)
        call = Background(asks.send_and_half_close, PART)
        assert answers.read_to_eof() == PART
        call.result()
        asks.expect_silence(0.5)
        call = Background(answers.send_and_half_close, PART)
        assert asks.read_to_eof() == PART
        call.result()
        assert relay.wait_session()["ending"] == "complete"
        expect_losses(lab)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("hop", ("to_the_relay", "from_the_relay"))
@pytest.mark.parametrize("side", SIDES)
def test_fin_is_lost_a_few_times(lab, side, hop, family):
    """On its way from that side's peer, or onwards to the other's."""
    with Relay(lab, family) as relay:
        first, second = relay.sides(side)
        if hop == "to_the_relay":
            lab.fault(side, away=lose_first_fins(LOST_FINS))
        else:
            lab.fault(other(side), towards=lose_first_fins(LOST_FINS))
        first.half_close()
        second.expect_silence(0.3)
        assert second.read_to_eof() == b""
        assert lab.dropped_in_all() == LOST_FINS
        talk(second, first, b"and still the other way")
        relay.expect_no_ending()
        second.half_close()
        assert first.read_to_eof() == b""
        assert relay.wait_session()["ending"] == "complete"


def test_both_fins_are_lost_a_few_times(lab):
    with Relay(lab) as relay:
        client, server = relay.sides("client")
        for side in SIDES:
            lab.fault(side, towards=lose_first_fins(LOST_FINS), away=lose_first_fins(LOST_FINS))
        client.send_and_half_close(b"from the client")
        server.send_and_half_close(b"from the server")
        assert server.read_to_eof() == b"from the client"
        assert client.read_to_eof() == b"from the server"
        assert relay.wait_session()["ending"] == "complete"
        assert lab.dropped_in_all() == 4 * LOST_FINS


@pytest.mark.parametrize("side", SIDES)
def test_urgent_bytes(lab, side):
    """A mark may arrive late, twice, or together with the next: each byte stays in its place."""
    pieces = [random_bytes(count % 700) + b"!" for count in range(0, 60000, 101)]
    with Relay(lab) as relay:
        sender, reader = relay.sides(side)
        make_lossy(lab, *SIDES)
        reading = Background(reader.read_to_eof)
        for number, piece in enumerate(pieces):
            if number % 3 == 0:
                send_urgent(sender, piece)
            else:
                sender.send(piece)
        sender.half_close()
        assert reading.result() == b"".join(pieces)
        talk(reader, sender)
        reader.half_close()
        assert relay.wait_session()["ending"] == "complete"
        expect_losses(lab)


# Resets

@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("side", SIDES)
def test_reset_after_the_tail(lab, side, family):
    """What the relay had read arrives whole, and then the reset; never an end of file."""
    with Relay(lab, family, **PROBED) as relay:
        sender, reader = relay.sides(side)
        make_lossy(lab, *SIDES)
        call = Background(sender.send, BULK)
        reading = Background(reader.expect_reset)
        call.result()
        acked = len(BULK) - sender.unacked()
        sender.reset()
        got = reading.result()
        session = relay.wait_session()
        assert session["ending"] == f"{side}_reset"
        assert len(got) >= acked
        assert session[f"bytes_from_{side}"] == len(b"a word") + len(got)
        assert got == BULK[:len(got)]
        expect_losses(lab)


@pytest.mark.parametrize("side", SIDES)
def test_reset_after_a_tail_that_is_all_acknowledged(lab, side):
    """As before, and there is no doubt about what the relay had: everything."""
    with Relay(lab, **PROBED) as relay:
        sender, reader = relay.sides(side)
        make_lossy(lab, other(side))
        reading = Background(reader.expect_reset)
        sender.send(BULK)
        sender.wait_acked()
        sender.reset()
        assert reading.result() == BULK
        assert relay.wait_session()["ending"] == f"{side}_reset"
        expect_losses(lab)


@pytest.mark.parametrize("side", SIDES)
def test_reset_behind_a_fin(lab, side):
    """The tail and the FIN are still on their way when the sender resets: its flow had ended
    cleanly and may arrive so, but the session does not go on."""
    with Relay(lab, **PROBED) as relay:
        sender, reader = relay.sides(side)
        make_lossy(lab, other(side))
        reading = Background(reader.read_to_eof)
        sender.send_and_half_close(BULK)
        eventually(lambda: sender.tcp_state() == "FIN_WAIT2", "the FIN acknowledged")
        sender.reset()
        assert reading.result() == BULK
        assert reader.expect_reset() == b""
        assert relay.wait_session()["ending"] == f"{side}_reset"
        expect_losses(lab)


@pytest.mark.parametrize("side", SIDES)
def test_reset_with_nothing_lost_but_the_reset(lab, side):
    """The sender's host answers the next probe with another one."""
    with Relay(lab, **PROBED) as relay:
        sender, reader = relay.sides(side)
        lab.fault(side, away="tcp flags & rst == rst numgen inc mod 1000000 < 1 counter drop")
        sender.reset()
        reader.expect_silence(0.5)
        assert reader.expect_reset(within=3) == b""
        assert relay.wait_session()["ending"] == f"{side}_reset"
        assert lab.dropped(side) == (0, 1)
