"""telnetd and telnet, probed from either side: a NOP stands anywhere in the text, and neither in a
command, nor in a subnegotiation, nor between the two bytes that end a line."""

import pytest

from lib.daemon import SIDES
from lib.metrics import Metrics
from probes import Probed, Straight, options_of, run_both
from programs import Server, need, run

# Instead of login. It says what it gets, byte for byte where it is told to.
PROGRAM = r"""#!/bin/sh
stty -echo
echo ready
while read -r line; do
	case $line in
	exit) exit ;;
	size) stty size ;;
	bytes)
		stty raw
		printf 'raw\r\n'
		bytes=$(head -c 6 | od -An -tx1)
		stty -raw
		echo "$bytes" ;;
	late) sleep 1; echo late ;;
	marks) printf '\377\361\377\377\n' ;;
	*) echo "<$line>" ;;
	esac
done
"""

PROBE = {"protocol": "telnet"}

IAC, SE, NOP, AYT, SB, WILL, WONT, DO, DONT = 255, 240, 241, 246, 250, 251, 252, 253, 254
ECHO, GO_AHEAD, TERMINAL, WINDOW = 1, 3, 24, 31
ANSWERS = {(DO, TERMINAL): WILL, (DO, WINDOW): WILL, (WILL, ECHO): DO, (WILL, GO_AHEAD): DO}


@pytest.fixture(scope="module", name="telnetd")
def telnetd_server(tmp_path_factory):
    telnetd, socat = need("telnetd", "socat")
    directory = tmp_path_factory.mktemp("telnetd")
    program = directory / "program"
    program.write_text(PROGRAM, encoding="ascii")
    program.chmod(0o755)

    def command(port):
        return [socat, f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork",
                f"EXEC:{telnetd} -h -E {program},nofork"]

    with Server(directory, command, **options_of("root")) as server:
        yield server


class Client:
    """Agrees to few options, and takes what it receives apart. `probed` is the side that gets
    probes: towards the client it does not matter what the client says."""

    def __init__(self, way, probed):
        self.wire = way.wire()
        self.probed = probed
        self.text = bytearray()
        self.commands = []
        self.read_until(b"ready\r\n")

    def read_until(self, text):
        begin = len(self.text)
        while text not in self.text[begin:]:
            self.read()

    def read(self):
        byte = self.wire.receive(1)
        if byte[0] != IAC:
            self.text += byte
            return
        verb = self.wire.receive(1)[0]
        if verb == IAC:
            self.text.append(IAC)
        elif verb == SB:
            self.commands.append((SB, self.wire.receive_until(bytes([IAC, SE]))))
            self.tell_terminal()
        elif verb >= WILL:
            option = self.wire.receive(1)[0]
            self.commands.append((verb, option))
            self.answer(verb, option)
        elif verb != NOP or self.probed == "server":
            self.commands.append((verb,))

    def answer(self, verb, option):
        refusal = WONT if verb in (DO, DONT) else DONT
        answer = ANSWERS.get((verb, option), refusal)
        self.wire.send(bytes([IAC, answer, option]))
        if (verb, option) == (DO, WINDOW):
            # 255 columns and 65535 rows: each 255 comes twice.
            self.wire.send_crawling(bytes([IAC, SB, WINDOW, 0, *[IAC] * 6, IAC, SE]))

    def tell_terminal(self):
        self.send_cut(bytes([IAC, SB, TERMINAL, 0]) + b"xterm" + bytes([IAC, SE]), 1, 6)

    def send_cut(self, data, *cuts):
        self.wire.send_cut_towards(self.probed, data, *cuts)

    def ask(self, line, answer):
        self.wire.send(line + b"\r\n")
        self.read_until(answer + b"\r\n")


def typing(probed):
    def session(way):
        client = Client(way, probed)
        wire = client.wire
        wire.expect_probe()
        client.ask(b"size", b"65535 255")
        wire.send(b"in the mid")
        wire.expect_probe()
        client.send_cut(b"dle\r\n", 4)
        client.read_until(b"<in the middle>\r\n")
        wire.expect_probe()
        wire.send(bytes([IAC, AYT]))
        client.read_until(b"[Yes]\r\n")
        wire.expect_probe()
        client.ask(b"marks", b"\xff\xf1\xff\xff")
        wire.send(b"late\r\n")
        wire.expect_probe(2)
        client.read_until(b"late\r\n")
        client.ask(b"bytes", b"raw")
        wire.expect_probe()
        wire.send_crawling(bytes([IAC, IAC, NOP, ord("a"), IAC, IAC, IAC, IAC]))
        wire.expect_probe()
        wire.send(b"b")
        client.read_until(b" ff f1 61 ff ff 62\r\n")
        wire.expect_probe()
        wire.send(b"exit\r\n")
        client.text += wire.finish().replace(bytes([IAC, NOP]), b"")
        return bytes(client.text), client.commands
    return session


@pytest.mark.parametrize("probed", ["server", "client"])
def test_typing(telnetd, probed):
    run_both(typing(probed), telnetd, message_size=2, probed=probed, **PROBE)


# The client program.


def telnet(lane):
    host, port = lane.address.rsplit(":", 1)
    typed = "".join(f"sleep 0.5; echo {word};" for word in ("one", "size", "late", "marks", "exit"))
    return run(["sh", "-c", f"({typed} sleep 1.5) | {need('telnet')} {host} {port} || :"])


def test_telnet(telnetd):
    """Both sides are probed."""
    wanted = telnet(Straight(telnetd).lane())
    assert b"<one>" in wanted and b"late" in wanted
    client = {"probe": {**PROBE, "interval": "100ms"}}
    with Probed(telnetd, listener={"client": client}, **PROBE) as probed:
        lane = probed.lane()
        assert telnet(lane) == wanted
        probed.expect_complete()
        metrics = Metrics.of(probed.control)
        for side in SIDES:
            assert metrics.value("finback_probes_sent_total", listener=lane.name, side=side) > 3
