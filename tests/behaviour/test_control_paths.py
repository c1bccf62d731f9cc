"""Every path and method of the control interface, and every refusal, which is JSON and says why."""

import contextlib
import json
import socket
import time

import pytest

from lib.control import Controlled, ControlledFinback, server_path
from lib.peers import Backend, eventually

READS = ("/api/v1/status", "/api/v1/servers", "/api/v1/servers/web", "/api/v1/sessions",
         "/api/v1/sessions?state=ended", "/metrics", "/")
JSON = "application/json; charset=utf-8"
TYPES = {"/metrics": "text/plain; version=0.0.4; charset=utf-8", "/": "text/html; charset=utf-8"}
COMMON = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
DOORS = ("control", "http")


@pytest.fixture(scope="module")
def shared():
    with Controlled() as relay:
        yield relay


def is_refused(answer, status, *words):
    """A problem as RFC 9457 has it, with these words in its detail."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "about:blank"
    assert problem["status"] == status
    assert problem["title"]
    for word in words:
        assert word in problem["detail"], problem
    for name, value in COMMON.items():
        assert answer.headers[name] == value
    return problem


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("path", READS)
def test_reads(shared, door, path):
    client = getattr(shared, door)
    answer = client.get(path)
    assert answer.status == 200
    assert answer.headers["content-type"] == TYPES.get(path, JSON)
    for name, value in COMMON.items():
        assert answer.headers[name] == value
    if path not in TYPES:
        text = answer.text
        compact = json.dumps(answer.json(), separators=(",", ":"), ensure_ascii=False)
        assert len(text) == len(compact), "spaces in it"

    head = client.head(path)
    assert (head.status, head.body) == (200, b"")
    changing = {"date", "content-length", "content-security-policy", "connection"}
    assert {name: value for name, value in head.headers.items() if name not in changing} == \
        {name: value for name, value in answer.headers.items() if name not in changing}
    assert head.headers.keys() - {"connection"} == answer.headers.keys()
    assert client.get("/nothing").status == 404  # and what follows is understood


def test_the_page_has_its_policy(shared):
    answer = shared.http.get("/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    nonce = answer.headers["content-security-policy"].split("'nonce-")[1].split("'")[0]
    assert nonce in answer.text
    assert nonce not in shared.http.get("/").text


def test_answers_of_servers(shared):
    name = shared.backend.address
    server = shared.control.server("web", name)
    assert server["pool"] == "web" and server["name"] == name and server["state"] == "ready"
    assert shared.control.get("/api/v1/servers").json() == {"servers": [server]}
    assert shared.control.get("/api/v1/servers/web").json() == {"servers": [server]}


@pytest.mark.parametrize("path, words", (
    ("/nothing", ()),
    ("/api/v1", ()),
    ("/api/v1/status/", ()),
    ("//", ()),
    ("/a/b/c/d/e/f/g/h/i/j/k", ()),
    ("/api/v1/servers/absent", ("absent",)),
    ("/api/v1/servers/web/absent", ("absent", "web")),
    ("/api/v1/servers/absent/absent", ("absent",)),
    ("/api/v1/servers/web/", ()),
    ("/api/v1/sessions/0", ("0",)),
    ("/api/v1/sessions/4000000000", ("4000000000", "ended or never was")),
    ("/api/v1/sessions/18446744073709551615", ("18446744073709551615",)),
    ("/api/v1/sessions/18446744073709551616", ("whole number",)),
    ("/api/v1/sessions/12x", ("12x",)),
    ("/api/v1/sessions/-1", ("-1",)),
    ("/api/v1/sessions/%31x", ("1x",)),
    ("/api/v1/servers/%22%C3%A9%FF", ("\u00e9\ufffd",)),
))
@pytest.mark.parametrize("door", DOORS)
def test_nothing_there(shared, door, path, words):
    is_refused(getattr(shared, door).get(path), 404, *words)


def test_a_session_that_never_was_is_not_killed(shared):
    is_refused(shared.control.kill(4000000000), 404, "4000000000")
    is_refused(shared.control.kill("x"), 404)


@pytest.mark.parametrize("path", (
    "/api/v1/servers/%", "/api/v1/servers/%2", "/api/v1/servers/%zz", "/api/v1/servers/a%00",
    "/%G0",
))
def test_paths_that_are_encoded_wrongly(shared, path):
    is_refused(shared.control.get(path), 400, "encoded")


@pytest.mark.parametrize("query, words", (
    ("states=open", ("states",)),
    ("state=opened", ("opened",)),
    ("state=open&state=open", ("state",)),
    ("listener", ("listener",)),
    ("limit=0", ("limit",)),
    ("limit=10001", ("limit",)),
    ("limit=+1", ("limit",)),
    ("min_age=1", ("min_age",)),
    ("ending_within=x", ("ending_within",)),
    ("client=localhost", ("client",)),
    ("after=nonsense", ("after",)),
    ("brief=yes", ("brief",)),
    ("state=ended&after=1", ()),
    ("state=%zz", ("encoded",)),
    ("%00=1", ("encoded",)),
    ("listener=%C3", ()),
))
def test_parameters_that_are_wrong(shared, query, words):
    if query == "listener=%C3":
        assert shared.control.get("/api/v1/sessions?" + query).status in (200, 400)
        return
    is_refused(shared.control.get("/api/v1/sessions?" + query), 400, *words)


@pytest.mark.parametrize("path", [path for path in READS if "?" not in path and
                                  path != "/api/v1/sessions"] + ["/api/v1/sessions/1"])
def test_paths_without_parameters(shared, path):
    is_refused(shared.control.get(path + "?limit=1"), 400, "parameters")


ALLOWED = {
    "/": "GET, HEAD", "/metrics": "GET, HEAD", "/api/v1/status": "GET, HEAD",
    "/api/v1/servers": "GET, HEAD", "/api/v1/servers/web": "GET, HEAD",
    "/api/v1/servers/web/x": "GET, HEAD, PATCH", "/api/v1/sessions": "GET, HEAD",
    "/api/v1/sessions/1": "GET, HEAD, DELETE", "/api/v1/reload": "POST", "/api/v1/drain": "POST",
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")


@pytest.mark.parametrize("path", ALLOWED)
def test_methods(shared, path):
    for method in METHODS:
        if method in ALLOWED[path]:
            continue
        answer = shared.control.request(method, path)
        assert answer.headers["allow"] == ALLOWED[path]
        if method != "HEAD":
            is_refused(answer, 405, method)


@pytest.mark.parametrize("method", [method for method in METHODS if method not in ("GET", "HEAD")])
def test_only_reads_over_tcp(shared, method):
    before = shared.control.status()
    for path in (*ALLOWED, "/nothing", server_path("web", shared.backend.address)):
        body = '{"state":"drain"}' if method == "PATCH" else None
        is_refused(shared.http.request(method, path, body), 403)
    after = shared.control.status()
    assert after["state"] == "running"
    assert after["config"]["reloads"] == before["config"]["reloads"]
    assert after["pools"][0]["servers"][0]["state"] == "ready"


@pytest.mark.parametrize("method, path", (
    ("GET", "/api/v1/status"), ("DELETE", "/api/v1/sessions/1"), ("POST", "/api/v1/reload"),
    ("POST", "/api/v1/drain"),
))
def test_no_body_is_taken(shared, method, path):
    is_refused(shared.control.request(method, path, "{}"), 400, "body")
    assert shared.control.status()["state"] == "running"


@pytest.mark.parametrize("body", (
    "", "{", "[]", "null", '"drain"', "{}", '{"state":1}', '{"state":null}', '{"state":"gone"}',
    '{"state":"drain","x":1}', '{"state":"drain","state":"ready"}', '{"state":"drain"} {}',
    b'{"state":"\xff"}', '{"state":"drain\\u0000"}', "[" * 4096, b"\0\0",
))
def test_bodies_that_are_wrong(shared, body):
    path = server_path("web", shared.backend.address)
    is_refused(shared.control.patch(path, body), 400)
    assert shared.control.server("web", shared.backend.address)["state"] == "ready"


def test_long_bodies(shared):
    path = server_path("web", shared.backend.address)
    fits = '{"state":"ready"}'.ljust(4096)
    assert shared.control.patch(path, fits).status == 200
    for length in (4097, 5000, 60_000):
        is_refused(shared.control.patch(path, fits.ljust(length)), 413, "4096")
    assert shared.control.patch(path, fits).status == 200


@pytest.mark.parametrize("length", (70_000, 10_000_000_000, 10 ** 30))
def test_hopelessly_long_bodies(shared, length):
    """They are not read."""
    peer = shared.raw()
    peer.send(f"PATCH /api/v1/servers/web/x HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode())
    assert peer.receive(len(b"HTTP/1.1 413"))[9:12] in (b"413", b"400")
    peer.close()


def chunked(*pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))


def test_bodies_in_chunks(shared):
    path = server_path("web", shared.backend.address)
    head = f"PATCH {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    peer = shared.raw()
    peer.send(head + chunked(b'{"sta', b'te":"re', b'ady"}'))
    assert peer.receive(12) == b"HTTP/1.1 200"
    peer.close()
    peer = shared.raw()
    peer.send(head + chunked(b" " * 5000))
    assert peer.receive(12) == b"HTTP/1.1 413"
    peer.close()


def test_long_heads(shared):
    assert shared.control.get("/nothing", x="y" * 3000).status == 404
    is_refused(shared.control.get("/nothing?x=" + "y" * 5000), 414, "4096")
    is_refused(shared.control.get("/" + "y" * 30_000), 414, "4096")
    good = shared.control.request("GET", "/api/v1/status", headers={"X-Long": "y" * 10_000})
    assert good.status == 200
    is_refused(shared.control.request("GET", "/api/v1/status", headers={"X-Long": "y" * 20_000}),
               431, "16384")
    many = {f"X-{number}": "y" * 20 for number in range(90)}
    assert shared.control.request("GET", "/api/v1/status", headers=many).status == 200


def test_connections_are_kept(shared):
    client = shared.client(shared.control.address)
    client.status()
    sock = client._connection.sock
    for _ in range(10):
        client.status()
        client.sessions()
        client.get("/nothing")
    assert client._connection.sock is sock
    client.close()


def test_one_request_after_the_other_in_one_segment(shared):
    peer = shared.raw()
    peer.send(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" * 5)
    got = b""
    while got.count(b"HTTP/1.1 404") < 5 or not got.endswith(b"}"):
        got += peer.sock.recv(65536)
    peer.close()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("path", ("/", "/api/v1/status", "/api/v1/sessions", "/api/v1/sessions/1",
                                  "/api/v1/sessions?state=ended", "/nothing"))
def test_who_has_said_all_still_gets_the_answer(shared, door, path):
    """Its end of file is there when the request is read; or comes a moment later. The connection
    is closed right behind the answer."""
    shared.control.status()  # somebody else is connected, too
    took = []
    for is_later in (False, True) * 3:
        with contextlib.nullcontext() if is_later else shared.stopped():
            peer = shared.raw(getattr(shared, door).address)
            peer.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 3)
            peer.half_close()
        start = time.monotonic()
        answer = peer.read_to_eof()
        took.append(time.monotonic() - start)
        assert answer.count(b"HTTP/1.1 ") == 3, answer
        assert answer.rstrip().endswith((b"}", b"0", b"</html>")), answer
        peer.close()
    assert sum(seconds < 0.5 for seconds in took) >= 4, took


def test_old_http(shared):
    peer = shared.raw()
    peer.send(b"GET /api/v1/sessions HTTP/1.0\r\n\r\n")
    head, body = peer.read_to_eof().split(b"\r\n\r\n", 1)
    assert head.split()[1] == b"200"
    assert json.loads(body) == {"sessions": []}


def test_names_are_encoded_in_paths():
    with Backend("unix") as backend:
        config = {"pools": ({"name": "a.b", "servers": (backend.address,)},),
                  "listeners": ({"name": "web", "listen": "127.0.0.1:0", "pool": "a.b"},)}
        with ControlledFinback(config) as finback:
            server = finback.control.server("a.b", backend.address)
            assert server["name"] == backend.address
            assert "%2F" in server_path("a.b", backend.address)
            assert finback.control.get(f"/api/v1/servers/a.b/{backend.address}").status == 404
            assert finback.control.set_server("a.b", backend.address, "maint")["state"] == "maint"


def test_no_control_without_a_word():
    with Backend() as backend:
        config = {"listeners": ({"name": "web", "listen": "127.0.0.1:0",
                                 "servers": backend.address},)}
        with ControlledFinback(config, control={"socket": "none", "http": "none"}) as finback:
            assert not finback.lines_like(r"finback: control: .*")
            finback.connect()
            eventually(backend.accept)


def test_expect_continue(shared):
    path = server_path("web", shared.backend.address)
    peer = shared.raw()
    peer.send(f"PATCH {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
              "Content-Length: 17\r\n\r\n".encode())
    assert peer.receive(12) == b"HTTP/1.1 100"
    peer.send(b'{"state":"ready"}')
    peer.sock.settimeout(5)
    got = b""
    while b"200 OK" not in got:
        got += peer.sock.recv(4096)
    peer.close()


def test_a_peer_of_another_kind(shared):
    """What is no HTTP is refused by its own connection alone."""
    for text in (b"\r\n\r\n\r\n", b"GET\r\n\r\n", b"\0" * 100, b"GET / HTTP/9.9\r\n\r\n",
                 b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xa5" * 500,
                 b"GET / HTTP/1.1\r\nContent-Length: nonsense\r\n\r\n",
                 b"POST /api/v1/drain HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
                 b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b" " * 70_000, b"a" * 200_000,
                 b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000):
        peer = shared.raw()
        try:
            peer.send(text)
            peer.half_close()
            while peer.sock.recv(65536):
                pass
        except (BrokenPipeError, ConnectionResetError):
            pass
        except socket.timeout:
            raise AssertionError(f"{text[:40]} was left waiting") from None
        peer.close()
        assert shared.control.status()["state"] == "running"
