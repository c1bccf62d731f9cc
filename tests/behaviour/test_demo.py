"""--demo: a backend that sorts lines, so that the first try needs nothing else."""

import shutil
import subprocess

import pytest

from lib.daemon import Finback
from lib.peers import TIMEOUT, Background, Peer, parse_address, random_bytes


@pytest.fixture
def demo():
    with Finback(arguments=["--demo=127.0.0.1:0"]) as finback:
        yield finback


def address_of(demo):
    (addresses,) = demo.addresses.values()
    return addresses[0]


def ask(demo, data):
    client = Peer.connect(address_of(demo))
    demo.peers.append(client)
    sending = Background(client.send_and_half_close, data)
    answer = client.read_to_eof()
    sending.result()
    return answer


@pytest.mark.parametrize("lines, answer", (
    (b"b\na\n", b"a\nb\n"),
    (b"c\nb\na", b"a\nb\nc\n"),
    (b"", b""),
    (b"same\nsame\n", b"same\nsame\n"),
    (b"\n\nx\n", b"\n\nx\n"),
))
def test_sorts(demo, lines, answer):
    assert ask(demo, lines) == answer
    demo.wait_session(ending="complete", bytes_from_client=len(lines))


def test_sorts_many_lines(demo):
    lines = [random_bytes(8).hex().encode() for _ in range(10_000)]
    assert ask(demo, b"\n".join(lines) + b"\n") == b"\n".join(sorted(lines)) + b"\n"


def test_with_nc(demo):
    nc = shutil.which("nc")
    if not nc:
        pytest.skip("needs nc")
    host, port = parse_address(address_of(demo))[1]
    result = subprocess.run([nc, "-N", host, str(port)], input=b"b\na\n", capture_output=True,
                            timeout=TIMEOUT, check=True)
    assert result.stdout == b"a\nb\n"


def test_client_that_goes_away(demo):
    client = Peer.connect(address_of(demo))
    client.send(b"never sorted\n")
    client.reset()
    demo.wait_session(ending="client_reset")
    assert ask(demo, b"2\n1\n") == b"1\n2\n"
