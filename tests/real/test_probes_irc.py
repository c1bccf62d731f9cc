"""ngircd and IRC clients, probed from either side: an empty line stands between two lines of a
registered client, and never in one."""

import contextlib
import os

import pytest

from probes import Probed, Straight, directory_of, options_of, run_both
from programs import Server, need

NGIRCD = """
[Global]
Name = irc.example.net
Info = a server
Listen = 127.0.0.1
Ports = {port}
MotdPhrase = hello
[Options]
DNS = no
Ident = no
PAM = no
[Limits]
MaxPenaltyTime = 0
{limits}
"""
IMPATIENT = "PingTimeout = 5"

PROBE = {"protocol": "irc"}

# Lines that count and time what other sessions did.
VARYING = (b"003", b"250", b"265", b"266")


@contextlib.contextmanager
def started(limits=""):
    program = need("ngircd")
    with directory_of("nobody") as directory:
        path = os.path.join(directory, "ngircd.conf")

        def command(port):
            with open(path, "w", encoding="ascii") as file:
                file.write(NGIRCD.format(port=port, limits=limits))
            return [program, "-n", "-f", path]

        with Server(directory, command, **options_of("nobody")) as server:
            yield server


@pytest.fixture(scope="module", name="ngircd")
def ngircd_server():
    with started() as server:
        yield server


class Client:
    """A client that is registered. `probed` is the side that gets probes: towards the server none
    comes in a line of this client; towards the client it does not matter what the client says."""

    def __init__(self, way, probed, nick):
        self.wire = way.wire()
        self.probed = probed
        self.lines = []
        self.wire.send(b"NICK " + nick + b"\r\n")
        self.wire.expect_no_probe()
        self.wire.send_cut(b"USER " + nick + b" 0 * :A Person\r\n", 7)
        self.read_until(b"376")

    def read(self):
        """The next line that is not empty."""
        while (line := self.wire.receive_line()) == b"\r\n":
            assert self.probed == "client"
        if line.split()[1] in VARYING or b":Connection statistics" in line:
            if self.probed == "server":
                self.wire.forget(line)
        else:
            self.lines.append(line)
        return line

    def read_until(self, word):
        while word not in (line := self.read()):
            pass
        return line

    def send_cut(self, data, *cuts):
        self.wire.send_cut_towards(self.probed, data, *cuts)

    def quit(self):
        self.wire.send(b"QUIT :good bye\r\n")
        self.read_until(b"ERROR")
        assert self.wire.finish() == b""
        return self.lines


def chat(probed):
    def session(way):
        alice, bob = Client(way, probed, b"alice"), Client(way, probed, b"bob")
        alice.wire.expect_probe()
        alice.wire.send_crawling(b"PING one\r\n")
        alice.read_until(b"PONG")
        for client in (alice, bob):
            client.send_cut(b"JOIN #room\r\n", -1)
            client.read_until(b"366")
        alice.read_until(b"JOIN")
        alice.wire.expect_probe()
        alice.send_cut(b"PRIVMSG #room :hello there\r\n", 18)
        assert bob.read_until(b"PRIVMSG").endswith(b" PRIVMSG #room :hello there\r\n")
        bob.wire.expect_probe()
        bob.send_cut(b"privmsg #room :" + 400 * b"x" + b"\n", 1)
        assert alice.read_until(b"PRIVMSG").endswith(b":" + 400 * b"x" + b"\r\n")
        alice.wire.expect_probe()
        bob.send_cut(b"NOTICE alice :PING :finback\r\n", 15)
        assert alice.read_until(b"NOTICE").endswith(b":PING :finback\r\n")
        alice.send_cut(b"NAMES #room\r\nWRONG\r\nTOPIC #room\r\n", 15)
        alice.read_until(b"331")
        return alice.quit() + [bob.read_until(b"QUIT")] + bob.quit()
    return session


@pytest.mark.parametrize("probed", ["server", "client"])
def test_a_channel_with_two_clients(ngircd, probed):
    run_both(chat(probed), ngircd, message_size=2, probed=probed, **PROBE)


# What a probe defeats, as the manual says.


def test_the_server_takes_probes_for_the_words_of_its_client():
    """It asks nobody whether he is there who is probed."""
    with started(IMPATIENT) as ngircd, Straight(ngircd) as straight, \
            Probed(ngircd, **PROBE) as probed:
        alice, bob = Client(probed, "server", b"alice"), Client(straight, "server", b"bob")
        bob.read_until(b"PING")
        alice.wire.expect_silence(2)
        bob.quit()
        alice.quit()
        probed.expect_complete()
