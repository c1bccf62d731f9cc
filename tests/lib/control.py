"""A small HTTP client for the control interface, and daemons that have one.

`Controlled` is a Relay with a control socket and a TCP address:

    with Controlled() as relay:
        relay.pair()
        assert relay.control.status()["sessions"] == 1
        assert relay.http.get("/metrics").status == 200
"""

import contextlib
import http.client
import json
import os
import socket
import urllib.parse

from lib.daemon import Finback, Relay
from lib.peers import TIMEOUT, Peer, parse_address


class Answer:
    """What came back: status, headers (names in lower case) and the body as bytes."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:500]!r}"


class _Connection(http.client.HTTPConnection):
    """One to an address as the log has it: "unix:/path", "127.0.0.1:80" or "[::1]:80"."""

    def __init__(self, address, timeout):
        super().__init__("localhost", timeout=timeout)
        self._address = address

    def connect(self):
        family, name = parse_address(self._address)
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(name)


class Control:
    """A client with one connection, which it keeps and opens anew when the daemon closed it."""

    def __init__(self, address, timeout=TIMEOUT):
        self.address = address
        self._connection = _Connection(address, timeout)

    def request(self, method, path, body=None, headers=None):
        """Sends a request and returns the whole Answer. A body that is no text is sent as JSON."""
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        try:
            return self._request(method, path, body, headers or {})
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self.close()  # it was idle for too long: once more, on a new one
            return self._request(method, path, body, headers or {})

    def _request(self, method, path, body, headers):
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, names, answer.read())
        except BaseException:
            self.close()
            raise

    def get(self, path, **query):
        """Query parameters are those that are not None; `True` is written as 1."""
        chosen = {name: int(value) if value is True else value
                  for name, value in query.items() if value is not None}
        return self.request("GET", path + ("?" + urllib.parse.urlencode(chosen) if chosen else ""))

    def head(self, path):
        return self.request("HEAD", path)

    def post(self, path, body=None):
        return self.request("POST", path, body)

    def patch(self, path, body):
        return self.request("PATCH", path, body)

    def delete(self, path):
        return self.request("DELETE", path)

    def close(self):
        self._connection.close()

    # What the paths are for, with an answer of 200 taken for granted.

    def _good(self, answer):
        assert answer.status == 200, answer
        return answer.json()

    def status(self):
        return self._good(self.get("/api/v1/status"))

    def listener(self, name="web"):
        return next(one for one in self.status()["listeners"] if one["name"] == name)

    def page(self, **query):
        """One page of the list: (sessions, cursor of the next one or None)."""
        answer = self._good(self.get("/api/v1/sessions", **query))
        return answer["sessions"], answer.get("next")

    def sessions(self, **query):
        """The whole list, page after page."""
        found, cursor = self.page(**query)
        while cursor is not None:
            more, cursor = self.page(**{**query, "after": cursor})
            found += more
        return found

    def ended(self, **query):
        return self._good(self.get("/api/v1/sessions", state="ended", **query))["sessions"]

    def session(self, number):
        return self._good(self.get(f"/api/v1/sessions/{number}"))

    def kill(self, number):
        return self.delete(f"/api/v1/sessions/{number}")

    def server(self, pool, name):
        return self._good(self.get(server_path(pool, name)))

    def set_server(self, pool, name, state):
        return self._good(self.patch(server_path(pool, name), {"state": state}))

    def reload(self):
        return self.post("/api/v1/reload")

    def drain(self):
        return self.post("/api/v1/drain")


def server_path(pool, name):
    return "/api/v1/servers/" + "/".join(urllib.parse.quote(word, safe="") for word in (pool, name))


def balance_of(listener):
    """accepted, and what it must be equal to, of a listener in an answer of status."""
    return (listener["accepted"],
            sum(listener["active"].values()) + sum(listener["endings"].values()))


class _WithControl(Finback):
    """Adds `control` to the configuration: a socket in the daemon's directory, and a TCP address
    of the kernel's choice unless `control` says otherwise."""

    def use_control(self, settings=None):
        """The settings for the configuration."""
        self._clients = []
        return {"socket": os.path.join(self.directory, "control.sock"), "http": "127.0.0.1:0",
                **(settings or {})}

    def client(self, address, timeout=TIMEOUT):
        """One more client, which is closed before the daemon is told to end."""
        client = Control(address, timeout)
        self._clients.append(client)
        return client

    @property
    def socket_path(self):
        return os.path.join(self.directory, "control.sock")

    @property
    def control(self):
        """The client on the UNIX socket."""
        return self._kept("_control", lambda: "unix:" + self.socket_path)

    @property
    def http_address(self):
        """The TCP address, as the log last said it."""
        self.wait_line(r"finback: control: http on \S+")
        return self.lines_like(r"finback: control: http on (\S+)")[-1][1]

    @property
    def http(self):
        """The client on the TCP address."""
        return self._kept("_http", lambda: self.http_address)

    def _kept(self, name, address):
        if not hasattr(self, name):
            setattr(self, name, self.client(address()))
        return getattr(self, name)

    def raw(self, address=None, receive_buffer=None):
        """A connection to the control socket (or to `address`) as a Peer, for bytes as they are."""
        peer = Peer.connect(address or "unix:" + self.socket_path, receive_buffer)
        self._clients.append(peer)
        return peer

    def reset_peers(self):
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.close()
        super().reset_peers()

    def _clean_up(self):
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.close()
        super()._clean_up()


class ControlledFinback(_WithControl):
    """A daemon with the configuration `config`, to which `control` is added."""

    def __init__(self, config, control=None, **options):
        super().__init__(None, **options)
        self.config = {"control": self.use_control(control), **config}
        self.write_config(self.config)


class Controlled(Relay, _WithControl):
    """A Relay with a control interface; `control` overrides its settings."""

    def __init__(self, *arguments, control=None, **settings):
        super().__init__(*arguments, **settings)
        self.config["control"] = self.use_control(control)
        self.write_config(self.config)
