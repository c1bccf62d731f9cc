"""Each session says in one sentence who waits for whom, since when, and what ends it; here in the
states that can be brought about without a network in between."""

import re

import pytest

from lib.control import Controlled
from lib.daemon import SIDES, other
from lib.peers import SLOW_READER, SilentBackend, eventually, random_bytes

# In patterns: a duration that may be anything below a minute, and a size.
SOME = r"(?:under )?[\d.]+ s"
SIZE = r"[\d.]+ (?:bytes?|[KM]iB)"
PLENTY = random_bytes(8 << 20)


def expect(relay, pattern):
    """Waits until the only session is explained like this."""
    pattern = pattern.replace("SOME", SOME).replace("SIZE", SIZE)
    last = []

    def fits():
        sessions = relay.control.sessions()
        last[:] = [session["explanation"] for session in sessions]
        return len(last) == 1 and re.fullmatch(pattern, last[0])

    try:
        eventually(fits, within=10)
    except AssertionError:
        raise AssertionError(f"{last} is not {pattern}") from None


def test_connecting():
    backend = SilentBackend()
    with Controlled(backend=backend) as relay:
        name = re.escape(backend.address)
        client = relay.connect()
        expect(relay, rf"finback has been connecting to {name} for SOME \(attempt 1\)"
               r"(, \d SYNs unanswered)?; the client has sent nothing yet; connect ends this "
               "attempt in SOME")
        client.send(b"seventeen bytes!!")
        expect(relay, r".*\(attempt 1\).*; the client has already sent 17 bytes; connect ends .*")
        client.half_close()
        expect(relay, r".*; the client has already finished sending, and its 17 bytes will still "
               "go to the server; connect ends .*")
        client.reset()
        expect(relay, r".*; the client reset the connection meanwhile, and its 17 bytes will still "
               "go to the server; connect ends .*")
        relay.control.kill(relay.control.sessions()[0]["id"])


def test_connecting_to_a_full_backlog():
    backend = SilentBackend("unix")
    with Controlled(backend=backend, timeouts={"connect": "0"}) as relay:
        relay.connect()
        expect(relay, rf"finback has been trying to connect to {re.escape(backend.address)} for "
               r"SOME \(attempt 1\) and will try again in a moment: the server's backlog is full, "
               "or finback has no descriptor or no memory left; the client has sent nothing yet; "
               "no deadline ends it")


@pytest.mark.parametrize("family", ("ipv4", "unix"))
def test_open(family):
    with Controlled(family, family, timeouts={"first_byte": "1h", "idle": "2h"}) as relay:
        client, server = relay.pair()
        expect(relay, "the server was connected SOME ago and neither side has sent anything yet; "
               "first_byte ends it in 59 min .*")
        client.send(b"hello")
        expect(relay, "bytes move from the client to the server, the last one SOME ago; the server "
               "has sent nothing yet; idle ends it in 1 h 59 min")
        assert server.receive(5) == b"hello"
        expect(relay, "both directions are open and nothing has moved for SOME, the last byte from "
               "the client; idle ends it in 1 h 59 min")


@pytest.mark.parametrize("side", SIDES)
def test_half_closed(side):
    with Controlled() as relay:
        one, two = relay.greeted_sides(side)
        one.half_close()
        assert two.read_to_eof() == b""
        expect(relay, f"the {side} finished sending SOME ago; finback waits for the {other(side)}, "
               "which acknowledged everything and has sent nothing "
               f"{'yet' if side == 'server' else 'for SOME'}; half_closed ends it in 4 min .*")
        two.send(b"still here")
        assert one.receive(10) == b"still here"
        expect(relay, f".*; finback waits for the {other(side)}, which acknowledged everything and "
               "is still sending: 1[05] bytes so far, the last of it SOME ago; half_closed .*")


def test_half_closed_before_a_unix_server():
    with Controlled("ipv4", "unix", timeouts={"half_closed": "0"}) as relay:
        client, server = relay.pair()
        client.send_and_half_close(b"all")
        assert server.read_to_eof() == b"all"
        expect(relay, "the client finished sending SOME ago; finback waits for the server, which "
               "was handed everything and has sent nothing yet; no deadline ends it")


@pytest.mark.parametrize("family", ("ipv4", "unix"))
@pytest.mark.parametrize("side", SIDES)
def test_back_pressure(side, family):
    """A reader that does not read, and then a writer that ended its flow meanwhile."""
    known = r", with SIZE ahead and SIZE unread behind in the kernel( \(no room in its receive " \
            r"window, last heard SOME ago\))?" if family == "ipv4" else ""
    with Controlled(family, family, receive_buffer=SLOW_READER if family == "ipv4" else None,
                    timeouts={"stall": "1h"}) as relay:
        reader, writer = relay.greeted_sides(side)
        writer.fill(PLENTY)
        expect(relay, f"both directions are open; finback waits for the {side} to take SIZE from "
               f"the {other(side)}, held for SOME{known}; stall ends it in 59 min .*")
        reader.half_close()
        expect(relay, f"the {side} finished sending SOME ago; finback waits for the {side} to take "
               f"SIZE from the {other(side)}, held for SOME{known}; half_closed ends it in "
               "4 min .*")


def test_cut_off():
    """What a client had sent before its reset still goes to a server that takes its time."""
    with Controlled(receive_buffer=SLOW_READER, timeouts={"linger": "1h"}) as relay:
        client, server = relay.greeted_sides("client")
        client.fill(PLENTY)
        client.reset()
        expect(relay, "the client reset the connection SOME ago; finback waits for the server to "
               "take SIZE from the client, held for SOME, with SIZE ahead and SIZE unread behind in "
               "the kernel.*; then it ends as client_reset and the server is reset; linger ends it "
               "in 59 min .*")
        assert len(server.expect_reset()) > 0
        assert relay.wait_session()["ending"] == "client_reset"


def test_closing():
    """Both have finished; the client does not read the last of it."""
    with Controlled(receive_buffer=SLOW_READER, timeouts={"linger": "1h"}) as relay:
        client, server = relay.greeted_sides("client")
        client.half_close()
        server.send_and_half_close(PLENTY[:60000])
        expect(relay, "both sides finished sending, the client SOME ago and the server SOME ago; "
               r"the client has not acknowledged the server's last SIZE and the FIN for SOME "
               r"\(no room in its receive window, last heard SOME ago\); linger ends it in "
               "59 min .*")
        assert client.read_to_eof() == PLENTY[:60000]
        assert relay.wait_session()["ending"] == "complete"


def test_ended_by_a_deadline_with_fin():
    with Controlled(timeouts={"idle": "500ms", "linger": "1h"}, on_timeout="close") as relay:
        client, server = relay.pair()
        expect(relay, r"finback ended it SOME ago \(idle_timeout\), with FIN and no reset; finback "
               "waits for both sides to finish and drops what they send; linger ends it in "
               "59 min .*")
        assert client.read_to_eof() == server.read_to_eof() == b""
        client.half_close()
        expect(relay, r"finback ended it .*; finback waits for the server to finish and drops what "
               "it sends; linger ends it in 59 min .*")


def test_a_brief_list_explains_nothing():
    with Controlled() as relay:
        relay.pair()
        eventually(lambda: relay.control.sessions(state="open"))
        assert "explanation" not in relay.control.sessions(brief=True)[0]
