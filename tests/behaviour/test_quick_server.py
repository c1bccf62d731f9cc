"""A server that answers and ends before the daemon has noticed that it is connected: what it sent
arrives all the same, and its end stays what it was."""

import time

import pytest

from lib.daemon import Relay
from lib.peers import SilentBackend

BANNER = b"421 too busy\r\n"
ENDS = ("fin", "reset", "fin and reset")


def end(server, how):
    if "fin" in how:
        server.half_close()
    server.wait_acked()
    if "reset" in how:
        server.reset()


@pytest.mark.parametrize("how", ENDS)
def test_banner_and_end_in_one_turn(how):
    with Relay(backend=SilentBackend(), timeouts={"connect": "15s"}) as relay:
        client = relay.connect()
        client.expect_silence(0.2)
        with relay.stopped():
            relay.backend.release()
            server = relay.backend.accept()
            server.send(BANNER)
            end(server, how)
            time.sleep(0.05)
        assert client.receive(len(BANNER)) == BANNER
        if how == "fin":
            assert client.read_to_eof() == b""
            client.half_close()
            assert server.read_to_eof() == b""
            relay.wait_session(ending="complete", first_closer="server")
        else:
            client.at_eof = how == "fin and reset"
            client.expect_reset()
            relay.wait_session(ending="server_reset")
