"""Who answers is never taken for dead, however little it reads, says or gets through to us, and in
the end it has every byte. With FINBACK_SLOW=1 in the environment it is watched for ten minutes."""

import os
import time

import pytest

from lab import Relay, lose, ping_pong, talk
from lib.daemon import SIDES
from lib.peers import SLOW_READER, Background, random_bytes

IS_SLOW = os.environ.get("FINBACK_SLOW") == "1"
STILL = 600 if IS_SLOW else 30      # s; many times what would be long enough to be dead
LOSSY = 600 if IS_SLOW else 60
BOTH = {side: {"dead_after": "3s"} for side in SIDES}
SMALL = 8192        # SO_RCVBUF
DATA = random_bytes(4 << 20)
TAIL = DATA[:60000]     # more than the reader's kernel takes, less than the relay and its kernel

pytestmark = pytest.mark.timeout(LOSSY + 120)


def read_little(reader, seconds):
    """1 KiB each second."""
    got = b""
    for _ in range(seconds):
        got += reader.receive(1024)
        time.sleep(1)
    return got


def test_who_reads_a_kibibyte_a_second(lab):
    with Relay(lab, receive_buffer=SMALL, **BOTH) as relay:
        pairs = [relay.sides(side) for side in SIDES]
        for _, writer in pairs:
            writer.sock.settimeout(STILL + 60)
        writing = [Background(writer.send_and_half_close, DATA) for _, writer in pairs]
        reading = [Background(read_little, reader, STILL) for reader, _ in pairs]
        got = [call.result(within=STILL + 60) for call in reading]
        relay.expect_no_ending()
        for (reader, writer), part in zip(pairs, got):
            assert part + reader.read_to_eof() == DATA
            reader.half_close()
            assert writer.read_to_eof() == b""
        for call in writing:
            call.result()
        relay.wait_session(count=len(pairs), ending="complete")


def test_who_reads_nothing_for_long(lab):
    """Open, and after each of the two ends of file."""
    with Relay(lab, receive_buffer=SLOW_READER, timeouts={"half_closed": "0"}, **BOTH) as relay:
        sessions = []
        for side in SIDES:
            for is_ended in (False, True):
                reader, writer = relay.sides(side)
                if is_ended:
                    reader.half_close()
                    assert writer.read_to_eof() == b""
                sessions.append((reader, writer, writer.fill(DATA)[0]))
        time.sleep(STILL)
        relay.expect_no_ending()
        for reader, writer, sent in sessions:
            writing = Background(writer.send_and_half_close, DATA[sent:])
            assert reader.read_to_eof() == DATA
            writing.result()
            if not writer.at_eof:
                reader.half_close()
        relay.wait_session(count=len(sessions), ending="complete")


def test_who_lets_the_tail_wait(lab):
    """Both flows have ended."""
    with Relay(lab, receive_buffer=SLOW_READER, timeouts={"linger": "0"}, **BOTH) as relay:
        pairs = [relay.sides(side) for side in SIDES]
        for reader, writer in pairs:
            reader.half_close()
            writer.send_and_half_close(TAIL)
            assert writer.read_to_eof() == b""
            writer.wait_acked()
        time.sleep(STILL)
        relay.expect_no_ending()
        for reader, _ in pairs:
            assert reader.read_to_eof() == TAIL
        relay.wait_session(count=len(pairs), ending="complete")


def test_both_windows_shut_at_once(lab):
    with Relay(lab, receive_buffer=SLOW_READER, **BOTH) as relay:
        peers = relay.sides("client")
        sent = [peer.fill(DATA)[0] for peer in peers]
        time.sleep(STILL)
        relay.expect_no_ending()
        calls = [Background(peer.send_and_half_close, DATA[count:])
                 for peer, count in zip(peers, sent)]
        readers = [Background(peer.read_to_eof) for peer in peers]
        for reader in readers:
            assert reader.result() == DATA
        for call in calls:
            call.result()
        assert relay.wait_session()["ending"] == "complete"


def test_who_says_nothing(lab):
    """Open, half-closed in both orders, and with what was never read."""
    with Relay(lab, receive_buffer=SLOW_READER, timeouts={"half_closed": "0"}, **BOTH) as relay:
        client, server = relay.sides("client")
        ended = [relay.sides(side) for side in SIDES]
        for first, second in ended:
            first.send_and_half_close(b"all of it")
        time.sleep(STILL)
        relay.expect_no_ending()
        ping_pong(client, server)
        for first, second in ended:
            assert second.read_to_eof() == b"all of it"
            talk(second, first)
            second.half_close()
            assert first.read_to_eof() == b""
        relay.wait_session(count=len(ended), ending="complete")


def chat(first, second, until):
    """Words go to and fro; returns how many came back."""
    count = 0
    while time.monotonic() < until:
        word = random_bytes(100)
        first.send(word)
        assert second.receive(len(word)) == word
        second.send(word[::-1])
        assert first.receive(len(word)) == word[::-1]
        count += 1
        time.sleep(0.2)
    return count


def test_who_loses_a_third(lab):
    """Sessions that are silent, that talk, and that carry bulk in either direction."""
    for side in SIDES:
        lab.hurry(side)
        lab.bound_retransmission(side)
    with Relay(lab, timeouts={"half_closed": "0"},
               **{side: {"dead_after": "30s"} for side in SIDES}) as relay:
        silent, *talking = (relay.sides(side) for side in ("client", *SIDES))
        bulk = [relay.sides(side) for side in SIDES]
        for peer in [peer for pair in (silent, *talking, *bulk) for peer in pair]:
            peer.sock.settimeout(LOSSY)
        for side in SIDES:
            lab.hurry(side)     # more tries: to lose them all is rare, and would be a death
            lab.fault(side, towards=lose(30), away=lose(30))
        end = time.monotonic() + LOSSY
        chats = [Background(chat, *pair, end) for pair in talking]
        writers = [Background(writer.send_and_half_close, TAIL) for writer, _ in bulk]
        readers = [Background(reader.read_to_eof) for _, reader in bulk]
        time.sleep(LOSSY)
        relay.expect_no_ending()
        assert lab.dropped_in_all() > 100
        lab.heal()
        for call in readers:
            assert call.result() == TAIL
        assert min(call.result() for call in chats) > 0
        for call in writers:
            call.result()
        for pair in (silent, *talking):
            ping_pong(*pair)
        for _, reader in bulk:
            reader.half_close()
        relay.wait_session(count=len(bulk), ending="complete")


@pytest.mark.parametrize("side", SIDES)
def test_whose_path_comes_and_goes(lab, side):
    """Nothing gets through for two seconds at a time, whether it is spoken to or not."""
    with Relay(lab, **{one: {"dead_after": "5s"} for one in SIDES}) as relay:
        silent, spoken_to = relay.sides(side), relay.sides(side)
        for _ in range(STILL // 7):
            lab.vanish(side)
            spoken_to[1].send(b"word")
            time.sleep(2)
            lab.heal()
            assert spoken_to[0].receive(4) == b"word"
            time.sleep(2.5)
        relay.expect_no_ending()
        for pair in (silent, spoken_to):
            ping_pong(*pair)


@pytest.mark.parametrize("side", SIDES)
def test_whose_path_is_gone_for_nearly_as_long(lab, side):
    """Idle, spoken to, and with a window that was shut: the kernel must not give up either."""
    with Relay(lab, receive_buffer=SLOW_READER,
               **{one: {"dead_after": "30s"} for one in SIDES}) as relay:
        silent, spoken_to, slow = relay.sides(side), relay.sides(side), relay.sides(side)
        sent, _ = slow[1].fill(DATA)
        lab.vanish(side)
        spoken_to[1].send(b"word")
        time.sleep(25)
        relay.expect_no_ending()
        lab.heal()
        assert spoken_to[0].receive(4) == b"word"
        assert slow[0].receive(sent) == DATA[:sent]
        for pair in (silent, spoken_to, slow):
            ping_pong(*pair)
