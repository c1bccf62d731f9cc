"""At max_half_closed the half-closed session that has been silent for longest goes, and no other:
both its peers are reset, it is counted as `evicted`, and the others never notice."""

import time

import pytest

from lib.daemon import SIDES, Relay
from lib.peers import SLOW_READER, Backend, eventually

GAP = 0.05  # between two sessions, so that it is clear which of them is silent for longer


def half_closed(relay, first="client"):
    """A session whose side `first` has ended its flow; the other side's peer comes second."""
    ender, other = relay.greeted_sides(first)
    ender.half_close()
    assert other.read_to_eof() == b""
    time.sleep(GAP)
    return ender, other


def expect_evicted(relay, pairs, count=None):
    for ender, other in pairs:
        ender.expect_reset()
        other.expect_reset()
    count = count or len(pairs)
    relay.wait_session(count=count, ending="evicted")


def expect_alive(*pairs):
    for ender, other in pairs:
        other.send(b"still here")
        assert ender.receive(10) == b"still here"


def evictions(relay):
    return sum(session["ending"] == "evicted" for session in relay.sessions())


@pytest.mark.threads
@pytest.mark.parametrize("first", SIDES)
@pytest.mark.parametrize("workers", (1, 2, 4))
def test_the_longest_silent_goes(workers, first):
    with Relay(workers=workers, max_half_closed=4) as relay:
        pairs = [half_closed(relay, first) for _ in range(4)]
        assert evictions(relay) == 0
        for number in range(3):
            pairs.append(half_closed(relay, first))
            expect_evicted(relay, [pairs.pop(0)], number + 1)
        expect_alive(*pairs)
        assert evictions(relay) == 3


@pytest.mark.threads
@pytest.mark.parametrize("workers", (1, 3))
def test_a_byte_is_a_word(workers):
    """Who has moved a byte since is not silent for longest any more, whoever came first."""
    with Relay(workers=workers, max_half_closed=3) as relay:
        first, second, third = (half_closed(relay) for _ in range(3))
        expect_alive(first)
        time.sleep(GAP)
        expect_alive(third)
        time.sleep(GAP)
        fourth = half_closed(relay)
        expect_evicted(relay, [second])
        expect_alive(third)
        time.sleep(GAP)
        fifth = half_closed(relay)
        expect_evicted(relay, [first], 2)
        expect_alive(third, fourth, fifth)


@pytest.mark.parametrize("workers", (1, 2))
def test_its_own_end_of_file_is_a_word(workers):
    """A client that was silent for long, and then ends its flow, waits for its answer: it is not
    itself who goes, though no byte of it has moved for longest."""
    with Relay(workers=workers, max_half_closed=1) as relay:
        quiet = relay.greeted_sides("client")
        time.sleep(2 * GAP)
        earlier = half_closed(relay)
        quiet[0].half_close()
        assert quiet[1].read_to_eof() == b""
        expect_evicted(relay, [earlier])
        expect_alive(quiet)


@pytest.mark.parametrize("workers", (1, 2))
def test_a_reader_that_takes_what_the_kernel_holds_is_not_silent(workers):
    """finback moves nothing for it any more, and looks before it ends it."""
    with Relay(workers=workers, max_half_closed=2, receive_buffer=SLOW_READER,
               timeouts={"half_closed": "1m"}) as relay:
        reader, server = relay.pair()
        server.send_and_half_close(bytes(400_000))
        time.sleep(2)  # so that it has been looked at once
        silent = half_closed(relay)
        reader.receive(200_000)
        time.sleep(GAP)
        newest = half_closed(relay)
        expect_evicted(relay, [silent])
        expect_alive(newest)
        assert len(reader.read_to_eof()) == 200_000


@pytest.mark.parametrize("workers", (1, 2))
def test_those_that_end_make_room(workers):
    with Relay(workers=workers, max_half_closed=2) as relay:
        kept = half_closed(relay)
        for number in range(1, 4):
            ender, other = half_closed(relay)
            other.send_and_half_close(b"the answer")
            assert ender.read_to_eof() == b"the answer"
            relay.wait_session(count=number, ending="complete")
        ender, other = half_closed(relay)
        other.reset()
        relay.wait_session(ending="server_reset")
        expect_alive(kept, half_closed(relay))
        assert evictions(relay) == 0


@pytest.mark.parametrize("workers", (1, 2))
def test_sessions_that_are_closing_do_not_count(workers):
    """Both flows have ended, and the last bytes wait for a reader: nobody needs its place."""
    with Relay(workers=workers, max_half_closed=1, receive_buffer=SLOW_READER) as relay:
        reader, server = half_closed(relay)
        server.send_and_half_close(bytes(60_000))
        time.sleep(2)  # so that it has been looked at, and nothing more has moved
        silent = half_closed(relay)
        newest = half_closed(relay)
        expect_evicted(relay, [silent])
        expect_alive(newest)
        assert len(reader.read_to_eof()) == 60_000
        relay.wait_session(ending="complete")


def test_open_and_embryonic_sessions_do_not_count():
    with Relay(max_half_closed=1, max_embryonic=9) as relay:
        pairs = [relay.greeted_sides("client") for _ in range(3)]
        one = half_closed(relay)
        expect_alive(one, *pairs)
        assert evictions(relay) == 0


@pytest.mark.threads
@pytest.mark.parametrize("workers", (1, 4))
def test_many_at_once_leave_just_as_many_as_allowed(workers):
    """Workers that find the same surplus at the same moment do not end one session twice for it."""
    with Relay(workers=workers, max_half_closed=10) as relay:
        pairs = [relay.greeted_sides("client") for _ in range(110)]
        with relay.stopped():
            for client, _ in pairs:
                client.half_close()
        relay.wait_session(count=100, ending="evicted")
        time.sleep(0.2)
        assert evictions(relay) == 100
        alive = [pair for pair in pairs if is_alive(pair)]
        assert len(alive) == 10
        newest = half_closed(relay)
        relay.wait_session(count=101, ending="evicted")
        expect_alive(newest)
        assert sum(is_alive(pair) for pair in alive) == 9


def is_alive(pair):
    client, server = pair
    try:
        server.send(b"x")
        return client.receive(1) == b"x"
    except OSError:
        return False


def test_a_limit_is_the_listeners_own():
    with Relay(max_half_closed=1) as relay:
        backend = relay.own(Backend())
        relay.reload({"listeners": (relay.listener, {
            "name": "other", "listen": "127.0.0.1:0", "servers": backend.address})})
        relay.baseline = relay.descriptors()
        one = half_closed(relay)
        clients = [relay.connect("other") for _ in range(3)]
        for client in clients:
            client.send_and_half_close(b"x")
            assert backend.accept().read_to_eof() == b"x"
        time.sleep(GAP)
        expect_alive(one)
        assert evictions(relay) == 0


class TestReload:
    """Sessions without a limit stay without; else the newest limit is for all of a listener."""

    @staticmethod
    def reload(relay, **settings):
        relay.reload({**relay.config, "listeners": ({**relay.listener, **settings},)})

    @pytest.mark.parametrize("workers", (1, 2))
    def test_a_limit_that_comes_is_for_new_sessions(self, workers):
        with Relay(workers=workers) as relay:
            old = [half_closed(relay) for _ in range(3)]
            was_open = relay.greeted_sides("client")
            self.reload(relay, max_half_closed=1)
            was_open[0].half_close()
            new = half_closed(relay)
            assert evictions(relay) == 0
            newer = half_closed(relay)
            expect_evicted(relay, [new])
            expect_alive(newer, *old)

    @pytest.mark.parametrize("workers", (1, 2))
    def test_a_limit_that_goes_ends_nobody(self, workers):
        with Relay(workers=workers, max_half_closed=2) as relay:
            pairs = [half_closed(relay) for _ in range(2)]
            was_open = relay.greeted_sides("client")
            self.reload(relay, max_half_closed=0)
            was_open[0].half_close()
            pairs += [was_open, half_closed(relay), half_closed(relay)]
            expect_alive(*pairs)
            assert evictions(relay) == 0

    @pytest.mark.threads
    @pytest.mark.parametrize("workers", (1, 2))
    def test_a_lower_limit_holds_from_the_next_half_close_on(self, workers):
        with Relay(workers=workers, max_half_closed=100) as relay:
            pairs = [relay.greeted_sides("client") for _ in range(100)]
            for client, server in pairs:
                client.half_close()
                assert server.read_to_eof() == b""
            self.reload(relay, max_half_closed=2)
            expect_alive(*pairs)
            assert evictions(relay) == 0
            pairs.append(half_closed(relay))
            relay.wait_session(count=99, ending="evicted", within=5)
            eventually(lambda: sum(map(is_alive, pairs)) == 2, "two are left")
            expect_alive(pairs[-1])

    @pytest.mark.parametrize("workers", (1, 2))
    def test_a_higher_limit_is_for_those_that_began_under_a_lower_one(self, workers):
        with Relay(workers=workers, max_half_closed=1) as relay:
            was_open = relay.greeted_sides("client")
            self.reload(relay, max_half_closed=3)
            pairs = [half_closed(relay), half_closed(relay)]
            was_open[0].half_close()
            assert was_open[1].read_to_eof() == b""
            expect_alive(was_open, *pairs)
            assert evictions(relay) == 0
            time.sleep(GAP)
            newest = half_closed(relay)
            relay.wait_session(ending="evicted")
            expect_alive(newest)


def test_the_log_says_which_limit():
    with Relay(max_half_closed=1) as relay:
        for _ in range(3):
            half_closed(relay)
        relay.wait_session(count=2, ending="evicted")
        assert relay.lines_like(r"finback: warning: listener web: half-closed session evicted: "
                                r"max_half_closed reached.*")
