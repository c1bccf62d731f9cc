"""A flow that is spliced ends like any other: its last bytes arrive, then its FIN or its reset. And
urgent marks, at which splice(2) stops and then tells of an end of file that is none, cost no byte."""

import time

import pytest

from lib.control import Controlled
from lib.daemon import SIDES, Relay, other
from lib.peers import SLOW_READER, Background, plenty, random_bytes
from lib.pipes import ROUND, at_one_go, bulk, ends_of_pipes, open_pipes, piped_bytes, stall

FAMILIES = (("ipv4", "ipv4"), ("unix", "ipv4"), ("ipv4", "unix"), ("unix", "unix"),
            ("ipv6", "ipv4"))
ENDS = ("fin", "reset", "nothing")
LAST = (1, 5000, 49_000)
HELD_BACK = 0.15  # s


@pytest.fixture(autouse=True, name="way", params=("auto", "splice"))
def way_of_bytes(request, monkeypatch):
    monkeypatch.setenv("FINBACK_DATA_PATH", request.param)
    return request.param


def spliced_sides(relay, side):
    """A session whose flow from `side` is spliced: (sender, reader)."""
    sender, reader = relay.greeted_sides(side)
    bulk(relay, sender, reader)
    assert open_pipes(relay) > 0
    return sender, reader


def end(sender, how):
    if how == "fin":
        sender.half_close()
    if how == "reset":
        sender.wait_acked()
        sender.reset()


def expect_end(relay, side, reader, how, data):
    """The reader gets `data`, then what the sender ended with."""
    if how == "fin":
        assert reader.read_to_eof() == data
        reader.half_close()
        relay.wait_session(ending="complete")
    elif how == "reset":
        assert reader.expect_reset() == data
        relay.wait_session(ending=f"{side}_reset")
    else:
        assert reader.receive(len(data)) == data
        reader.expect_silence(0.2)


# Urgent marks.


@pytest.mark.parametrize("behind", (0, 20_000))
@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("side", SIDES)
def test_a_mark_and_the_end_are_found_at_once(side, how, behind):
    data = random_bytes(25_001 + behind)
    with Relay() as relay:
        sender, reader = spliced_sides(relay, side)
        with relay.stopped():
            sender.send(data[:25_000])
            sender.send_urgent(data[25_000:25_001])
            sender.send(data[25_001:])
            end(sender, how)
        expect_end(relay, side, reader, how, data)


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("side", SIDES)
def test_a_mark_is_found_and_then_the_end(side, how):
    data = random_bytes(30_001)
    with Relay() as relay:
        sender, reader = spliced_sides(relay, side)
        at_one_go(relay, sender, data[:5000])
        sender.send_urgent(data[5000:5001])
        assert reader.receive(5001) == data[:5001]
        sender.send(data[5001:])
        end(sender, how)
        expect_end(relay, side, reader, how, data[5001:])


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("side", SIDES)
def test_marks_in_a_stream_that_does_not_pause(side, how):
    """Some are found while a splice is on its way."""
    data = plenty()[:4 << 20]

    def send():
        for start in range(0, len(data), 99_991):
            piece = data[start:start + 99_991]
            sender.send(piece[:-1])
            sender.send_urgent(piece[-1:])
        end(sender, how)

    with Relay() as relay:
        sender, reader = spliced_sides(relay, side)
        sending = Background(send)
        expect_end(relay, side, reader, how, data)
        sending.result()


@pytest.mark.parametrize("side", SIDES)
def test_a_mark_behind_a_full_pipe_and_the_end(side):
    """It comes while the pipe is full, and nobody looks at the source."""
    with Relay(receive_buffer=SLOW_READER) as relay:
        sender, reader = spliced_sides(relay, side)
        sent = stall(relay, sender, plenty())
        sending = Background(lambda: (sender.send_urgent(b"!"), sender.send(b"behind"),
                                      sender.half_close()))
        assert reader.read_to_eof() == plenty()[:sent] + b"!behind"
        sending.result()


# Bytes, then FIN.


@pytest.mark.parametrize("families", FAMILIES, ids="-".join)
@pytest.mark.parametrize("side", SIDES)
def test_last_bytes_and_the_fin(side, families):
    with Relay(*families) as relay:
        for size in LAST:
            data = random_bytes(size)
            sender, reader = spliced_sides(relay, side)
            with relay.stopped():
                sender.send_and_half_close(data)
            assert reader.read_to_eof() == data
            reader.send_and_half_close(b"seen")
            assert sender.read_to_eof() == b"seen"
        relay.wait_session(count=len(LAST), ending="complete")


@pytest.mark.parametrize("side", SIDES)
def test_last_bytes_do_not_wait_for_others(side):
    """splice(2) can be told that more will follow; then they would, for 0.2 s."""
    with Relay() as relay:
        sender, reader = spliced_sides(relay, side)
        took = []
        for _ in range(5):
            with relay.stopped():
                sender.send(plenty()[:ROUND + 1])
                sender.wait_acked()
            since = time.monotonic()
            assert reader.receive(ROUND + 1) == plenty()[:ROUND + 1]
            took.append(time.monotonic() - since)
        assert min(took) < HELD_BACK, took


@pytest.mark.parametrize("families", FAMILIES, ids="-".join)
@pytest.mark.parametrize("side", SIDES)
def test_the_fin_behind_a_full_pipe(side, families):
    """The reader begins when the sender has long ended; then it answers."""
    with Relay(*families, receive_buffer=SLOW_READER) as relay:
        sender, reader = spliced_sides(relay, side)
        sent = stall(relay, sender, plenty())
        sender.half_close()
        time.sleep(0.4)
        relay.expect_rest()
        assert reader.read_slowly(max(sent // 5, 1 << 16), 0.02) == plenty()[:sent]
        reader.send_and_half_close(b"seen")
        assert sender.read_to_eof() == b"seen"
        relay.wait_session(ending="complete")


@pytest.mark.parametrize("side", SIDES)
def test_the_other_flow_ends_meanwhile(side):
    """Half-closed, it goes on being spliced."""
    with Relay(receive_buffer=SLOW_READER) as relay:
        sender, reader = spliced_sides(relay, side)
        sent = stall(relay, sender, plenty())
        reader.send_and_half_close(b"enough said")
        assert sender.read_to_eof() == b"enough said"
        assert reader.receive(sent) == plenty()[:sent]
        sent = stall(relay, sender, plenty())
        sending = Background(sender.send_and_half_close, b"and more")
        assert reader.read_to_eof() == plenty()[:sent] + b"and more"
        sending.result()
        relay.wait_session(ending="complete", first_closer=other(side))


def test_both_flows_at_once():
    with Relay() as relay:
        data = plenty()[:12 << 20]
        peers = spliced_sides(relay, "client")
        bulk(relay, *peers[::-1])
        sending = [Background(peer.send_and_half_close, data) for peer in peers]
        reading = [Background(peer.read_to_eof) for peer in peers]
        assert all(one.result() == data for one in reading)
        assert all(one.result() is None for one in sending)
        relay.wait_session(ending="complete")


# Bytes, then a reset.


@pytest.mark.parametrize("families", FAMILIES[:1] + FAMILIES[2:3], ids="-".join)
@pytest.mark.parametrize("size", LAST)
def test_a_reset_right_behind_the_bytes(size, families):
    data = random_bytes(size)
    with Relay(*families) as relay:
        sender, reader = spliced_sides(relay, "client")
        with relay.stopped():
            sender.send(data)
            end(sender, "reset")
        expect_end(relay, "client", reader, "reset", data)


@pytest.mark.parametrize("side", SIDES)
def test_a_reset_behind_a_full_pipe(side):
    """All that finback's kernel had acknowledged arrives, and then no end of file."""
    with Relay(receive_buffer=SLOW_READER) as relay:
        sender, reader = spliced_sides(relay, side)
        sent = stall(relay, sender, plenty())
        accepted = sent - sender.unacked()
        sender.reset()
        time.sleep(0.4)
        relay.expect_rest()
        got = reader.expect_reset()
        assert got == plenty()[:len(got)] and len(got) >= accepted > 0
        relay.wait_session(ending=f"{side}_reset")


@pytest.mark.parametrize("side", SIDES)
def test_a_reader_that_resets_leaves_nothing_to_others(side):
    """What it did not take is gone with its pipe: the next session gets none of it."""
    with Controlled(receive_buffer=SLOW_READER) as relay:
        sender, reader = spliced_sides(relay, side)
        stall(relay, sender, plenty())
        held = set(ends_of_pipes(relay))
        reader.reset()
        sender.expect_reset()
        relay.wait_session(ending=f"{other(side)}_reset")
        assert not piped_bytes(relay)
        left = len(held & set(ends_of_pipes(relay)))
        assert left < len(held), "a pipe with bytes of somebody's was kept"
        for side_of_next in SIDES:
            spliced_sides(relay, side_of_next)


@pytest.mark.parametrize("side", SIDES)
def test_killed_with_bytes_in_a_pipe(side):
    with Relay(receive_buffer=SLOW_READER) as relay:
        sender, reader = spliced_sides(relay, side)
        sent = stall(relay, sender, plenty())
        relay.kill()
        got = reader.expect_reset()
        assert plenty().startswith(got) and len(got) < sent
        sender.expect_reset()
