"""A reader that is alive and reads nothing is waited for, as long as its deadlines allow, and then
gets every byte."""

import time

from lab import Relay, assert_between
from lib.daemon import SIDES
from lib.peers import SLOW_READER, Background, random_bytes

BOTH = {side: {"keepalive": {"idle": "1s", "interval": "1s", "count": 2}} for side in SIDES}
STILL = 20  # seconds; dead peers would have been found long before
DATA = random_bytes(4 << 20)
TAIL = DATA[:60000]  # more than the reader's kernel takes, less than the relay and its kernel


def fill_up(relay, reader_side):
    """A session whose reader on that side does not read: (reader, writer, what is left to send)."""
    reader, writer = relay.sides(reader_side)
    sent, _ = writer.fill(DATA)
    assert sent < len(DATA)
    return reader, writer, DATA[sent:]


def finish(reader, writer, rest):
    writing = Background(writer.send_and_half_close, rest)
    assert reader.read_to_eof() == DATA
    writing.result()
    reader.half_close()
    assert writer.read_to_eof() == b""


def test_a_reader_that_reads_nothing_is_not_dead(lab):
    with Relay(lab, receive_buffer=SLOW_READER, **BOTH) as relay:
        sessions = [fill_up(relay, side) for side in SIDES]
        time.sleep(STILL)
        relay.expect_no_ending()
        for session in sessions:
            finish(*session)
        relay.wait_session(count=2, ending="complete")


def test_nor_is_one_that_lets_the_tail_wait(lab):
    """Both peers have ended their flows; `linger` is longer than the wait."""
    with Relay(lab, receive_buffer=SLOW_READER, **BOTH) as relay:
        sessions = [relay.sides(side) for side in SIDES]
        for reader, writer in sessions:
            writer.send_and_half_close(TAIL)
            reader.half_close()
        for _, writer in sessions:
            assert writer.read_to_eof() == b""
            writer.wait_acked()
        time.sleep(STILL / 2)
        relay.expect_no_ending()
        for reader, _ in sessions:
            assert reader.read_to_eof() == TAIL
        relay.wait_session(count=2, ending="complete")


def test_its_deadline_is_kept(lab):
    """Answers to the kernel's window probes are no progress."""
    with Relay(lab, receive_buffer=SLOW_READER, timeouts={"stall": "3s"}, **BOTH) as relay:
        reader, writer = relay.sides("client")
        start = time.monotonic()
        writer.fill(DATA)  # the window is shut soon after the start, whatever still fits
        session = relay.wait_session()
        assert_between(time.monotonic() - start, 2.9, 4)
        assert session["ending"] == "stall_timeout"
        assert DATA.startswith(reader.expect_reset())
        writer.expect_reset()
