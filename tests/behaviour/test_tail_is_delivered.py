"""Nothing is closed early: the last bytes reach a slow reader when both ends of file have long been
passed on, and the session lives until the kernel says that all was acknowledged."""

import time

import pytest

from lib.daemon import SIDES, Relay
from lib.peers import SLOW_READER, Background, random_bytes

TAIL = random_bytes(3 << 19)  # 1.5 MiB


@pytest.mark.threads
@pytest.mark.parametrize("side", SIDES)
def test_reader_that_begins_late_and_pauses(side):
    """It takes longer than `linger` for all of it, though never without progress for so long."""
    with Relay(receive_buffer=SLOW_READER, timeouts={"linger": "1500ms"}) as relay:
        sender, reader = relay.sides(side)
        reader.half_close()
        assert sender.read_to_eof() == b""
        sending = Background(sender.send_and_half_close, TAIL)
        time.sleep(0.8)
        got = reader.read_slowly(len(TAIL) // 6, 0.6)
        sending.result()
        assert got == TAIL
        session = relay.wait_session(ending="complete")
        assert session["total_ms"] >= 3000


@pytest.mark.parametrize("side", SIDES)
def test_session_lives_until_the_last_byte_is_taken(side):
    with Relay(receive_buffer=SLOW_READER) as relay:
        sender, reader = relay.sides(side)
        sender.send_and_half_close(TAIL[:300_000])
        reader.half_close()
        time.sleep(0.7)
        assert not relay.sessions(), "ended with bytes on the way"
        assert reader.read_to_eof() == TAIL[:300_000]
        relay.wait_session(ending="complete", within=3)


@pytest.mark.parametrize("side", SIDES)
def test_sender_that_is_gone(side):
    """It closed right after its last byte; nobody is left to wait for on its side."""
    with Relay(receive_buffer=SLOW_READER) as relay:
        sender, reader = relay.sides(side)
        sender.send(TAIL[:400_000])
        sender.close()
        time.sleep(0.5)
        assert reader.read_slowly(100_000, 0.1) == TAIL[:400_000]
        reader.close()
        relay.wait_session(ending="complete", first_closer=side)


@pytest.mark.parametrize("side", SIDES)
def test_reader_that_sends_to_the_end(side):
    """One side has ended and reads late; bytes that still come from it do not destroy its tail."""
    with Relay(receive_buffer=SLOW_READER) as relay:
        sender, reader = relay.sides(side)
        sender.send_and_half_close(TAIL[:400_000])
        for number in range(20):
            reader.send(b"%02d" % number)
            assert sender.receive(2) == b"%02d" % number
            time.sleep(0.02)
        reader.half_close()
        assert sender.read_to_eof() == b""
        assert reader.read_to_eof() == TAIL[:400_000]
        relay.wait_session(ending="complete")


def test_both_tails_at_once():
    with Relay(receive_buffer=SLOW_READER) as relay:
        peers = relay.pair()
        for peer in peers:
            peer.send_and_half_close(TAIL[:300_000])
        time.sleep(0.7)
        assert not relay.sessions()
        readers = [Background(peer.read_slowly, 60_000, 0.05) for peer in peers]
        for reader in readers:
            assert reader.result() == TAIL[:300_000]
        relay.wait_session(ending="complete")


@pytest.mark.parametrize("side", SIDES)
def test_undelivered_when_the_reader_stops_for_good(side):
    """Part of the tail is taken, then no more: after `linger` it ends, and not as a clean end."""
    with Relay(receive_buffer=SLOW_READER, timeouts={"linger": "700ms"}) as relay:
        sender, reader = relay.sides(side)
        sender.send_and_half_close(TAIL[:400_000])
        reader.half_close()
        time.sleep(0.4)
        part = reader.receive(100_000)
        session = relay.wait_session(ending="undelivered", within=5)
        assert session["total_ms"] >= 1000
        got = part + reader.expect_reset()
        assert TAIL.startswith(got) and len(got) < 400_000
