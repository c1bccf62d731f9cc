"""prosody and XMPP clients, probed from either side: a space stands between two stanzas of a bound
session, and neither in one nor in the login."""

import base64
import hashlib
import hmac
import os

import pytest

from probes import directory_of, options_of, run_both
from programs import Server, need

PASSWORD = b"secret"
PEOPLE = (b"romeo", b"juliet")

PROSODY = """
run_as_root = false
pidfile = "{directory}/pid"
data_path = "{directory}"
certificates = "{directory}"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
modules_enabled = {{ "roster", "saslauth", "disco", "ping" }}
modules_disabled = {{ "s2s", "tls", "offline" }}
authentication = "internal_plain"
c2s_require_encryption = false
log = {{ warn = "*console" }}
VirtualHost "localhost"
"""

PROBE = {"protocol": "xmpp"}

HEADER = (b"<?xml version='1.0'?><stream:stream to='localhost' xmlns='jabber:client' "
          b"xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>")
SASL = b"xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"


@pytest.fixture(scope="module", name="prosody")
def prosody_server():
    program = need("prosody")
    with directory_of("nobody") as directory:
        accounts = os.path.join(directory, "localhost", "accounts")
        os.makedirs(accounts)
        for name in PEOPLE:
            with open(os.path.join(accounts, f"{name.decode()}.dat"), "wb") as file:
                file.write(b'return { ["password"] = "%b"; };\n' % PASSWORD)
        config = os.path.join(directory, "prosody.cfg.lua")

        def command(port):
            with open(config, "w", encoding="ascii") as file:
                file.write(PROSODY.format(directory=directory, port=port))
            return [program, "--config", config, "-F"]

        with Server(directory, command, **options_of("nobody")) as server:
            yield server


def scram_proof(first, challenge):
    """The client's last words in SCRAM-SHA-1, RFC 5802."""
    words = dict(word.split(b"=", 1) for word in challenge.split(b","))
    salted = hashlib.pbkdf2_hmac("sha1", PASSWORD, base64.b64decode(words[b"s"]), int(words[b"i"]))
    key = hmac.digest(salted, b"Client Key", "sha1")
    last = b"c=biws,r=" + words[b"r"]
    signature = hmac.digest(hashlib.sha1(key).digest(), b",".join((first, challenge, last)), "sha1")
    proof = bytes(a ^ b for a, b in zip(key, signature))
    return last + b",p=" + base64.b64encode(proof)


class Client:
    """A client whose resource is bound. `probed` is the side that gets probes: towards the client
    it does not matter what the client says. The login of a slow one pauses at every place."""

    def __init__(self, way, probed, name, is_slow):
        self.wire = way.wire()
        self.probed = probed
        self.is_slow = is_slow
        self.stanzas = []
        self.open_stream()
        first = b"n=" + name + b",r=nonce"
        self.say(b"<auth %b mechanism='SCRAM-SHA-1'>" % SASL + base64.b64encode(b"n,," + first) +
                 b"</auth>", 15)
        challenge = self.read_varying(b"</challenge>")
        answer = scram_proof(first, base64.b64decode(challenge.split(b">")[1].split(b"<")[0]))
        self.say(b"<response %b>" % SASL + base64.b64encode(answer) + b"</response>", -3)
        self.read_varying(b"</success>")
        self.open_stream()
        self.say(b"<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>"
                 b"here</resource></bind></iq>", 20)
        self.read(b"</iq>")
        self.wire.expect_probe()

    def open_stream(self):
        self.say(HEADER, 30)
        self.read_varying(b">", count=2)  # has an id
        self.read(b"</stream:features>")

    def say(self, data, cut):
        """Before the binding: there are no probes at all."""
        if self.is_slow:
            self.wire.expect_no_probe()
            self.wire.send_cut(data, cut)
        else:
            self.wire.send(data)

    def send_cut(self, data, *cuts):
        self.wire.send_cut_towards(self.probed, data, *cuts)

    def read(self, end):
        """Up to and with `end`."""
        got = self.wire.receive_until(end).strip(b" ")
        self.stanzas.append(got)
        return got

    def read_varying(self, end, count=1):
        """As read(), for what is another one in each session."""
        got = b"".join(self.wire.receive_until(end) for _ in range(count))
        if self.probed == "server":
            self.wire.forget(got)
        return got

    def leave(self):
        self.wire.send(b"</stream:stream>")
        self.read(b"</stream:stream>")
        assert self.wire.finish() == b""
        return self.stanzas


def chat(probed):
    def session(way):
        romeo, juliet = (Client(way, probed, name, name == b"romeo") for name in PEOPLE)
        for client in (romeo, juliet):
            client.wire.send(b"<iq type='get' id='2'><query xmlns='jabber:iq:roster'/></iq>")
            client.read(b"</iq>")
            client.send_cut(b"<presence/>", 4)
            client.read(b"/>")
        romeo.wire.expect_probe()
        romeo.send_cut(b"<message to='juliet@localhost' type='chat' id='3'><body>But soft! what "
                       b"light</body></message>", 12, 65, -2)
        juliet.read(b"</message>")
        juliet.wire.expect_probe()
        juliet.send_cut(b"<message to='romeo@localhost/here' id=\"4>\"><body>&lt;/message&gt; "
                        b"<![CDATA[</message>]]>  </body></message>", 85)
        romeo.read(b"</message>")
        juliet.wire.expect_probe()
        juliet.wire.send(b"\n<iq type='get' id='5' to='localhost'><ping xmlns='urn:xmpp:ping'/>"
                         b"</iq>\n ")
        juliet.read(b"/>")
        juliet.wire.expect_probe()
        romeo.wire.send(b"<presence to='juliet@localhost/here'><status>at the window</status>"
                        b"</presence>")
        juliet.read(b"</presence>")
        romeo.wire.send(b"<iq type='set' id='6'><unknown xmlns='what:ever'/></iq>")
        romeo.read(b"</iq>")
        romeo.wire.expect_probe()
        stanzas = romeo.leave()
        juliet.read(b"/>")  # of him: unavailable
        return stanzas + juliet.leave()
    return session


@pytest.mark.parametrize("probed", ["server", "client"])
def test_a_conversation(prosody, probed):
    run_both(chat(probed), prosody, message_size=1, probed=probed, **PROBE)
