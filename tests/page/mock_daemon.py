"""A stand-in for the control interface, for what a real daemon does not do on demand: odd names,
thousands of sessions, errors, drains, restarts. It serves src/admin/page.html as the daemon does,
under a nonce and a policy, and the answers that the page reads.
"""

import contextlib
import copy
import http.server
import json
import os
import re
import secrets
import threading
import time
import urllib.parse

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(TOP, "src", "admin", "page.html")
PLACEHOLDER = "the-nonce-of-this-answer-is-here"
POLICY = ("default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; connect-src 'self'; "
          "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")

STATES = ("connecting", "open", "half_closed_client", "half_closed_server", "closing")
ENDINGS = (
    "complete", "client_reset", "server_reset", "client_dead", "server_dead", "idle_timeout",
    "half_closed_timeout", "first_byte_timeout", "stall_timeout", "session_timeout",
    "connect_timeout", "connect_refused", "connect_failed", "no_server", "undelivered", "denied",
    "limited", "bad_proxy_header", "evicted", "killed", "drained", "fault",
)
DETECTORS = ("keepalive", "user_timeout", "probe", "link")
CONNECTS = ("ok", "refused", "timeout", "unreachable", "failed")
BRIEF_LEAVES_OUT = ("explanation",)
SIDE_BRIEF_LEAVES_OUT = ("tcp", "dead_after_s", "probe", "local_address")


def tcp(**changes):
    return {"state": "ESTABLISHED", "rtt_us": 120, "unacked_bytes": 0, "unsent_bytes": 0,
            "unread_bytes": 0, "retransmits": 0, "total_retransmits": 0, "probes": 0,
            "last_heard_ms": 1000, **changes}


def probe(**changes):
    return {"protocol": "mqtt", "mode": "watching", "sent": 1200, "replies": 1199,
            "last_reply_s": 50.0, "awaiting_s": None, "next_in_s": 9.5, **changes}


def side(address, **changes):
    return {"address": address, "local_address": "192.0.2.1:8080", "flow": "open", "bytes": 0,
            "idle_s": 1.0, "ended_s": None, "held_bytes": 0, "tcp": tcp(),
            "dead_after_s": 120.0, "probe": None, **changes}


def session(number, **changes):
    return {
        "id": number, "listener": "web", "pool": "web", "server_name": "app-1", "state": "open",
        "worker": 0, "age_s": 12.5, "idle_s": 1.0, "half_closed_s": None, "connects": 1,
        "first_closer": None, "ending_in": {"deadline": "idle", "in_s": 3599.0},
        "explanation": "both directions are open; a byte last moved 1 s ago",
        "client": side(f"198.51.100.{number % 250 + 1}:{20000 + number % 40000}"),
        "server": side("10.0.0.5:9000"), **changes,
    }


def ended(number, ending="complete", **changes):
    return {
        "id": number, "listener": "web", "pool": "web", "server_name": "app-1", "state": "ended",
        "ending": ending, "first_closer": "client", "detail": None, "detector": None,
        "ended": "2026-11-22T21:38:18.123Z", "ago_s": 3.2, "age_s": 12.0, "half_closed_s": 1.0,
        "connect_s": 0.001, "connects": 1, "client": {"address": "198.51.100.7:5000", "bytes": 100},
        "server": {"address": "10.0.0.5:9000", "bytes": 2000}, **changes,
    }


def listener(name="web", **changes):
    none = {"from_client": 0, "from_server": 0}
    return {
        "name": name, "listen": ["0.0.0.0:8080", "[::]:8080"], "pool": "web",
        "endings": dict.fromkeys(ENDINGS, 0), "bytes": dict(none), "fins": dict(none),
        "resets": dict(none),
        "dead_peers": {one: dict.fromkeys(DETECTORS, 0) for one in ("client", "server")}, **changes,
    }


def server(name="app-1", pool="web", **changes):
    return {"pool": pool, "name": name, "address": "10.0.0.5:9000", "weight": 1, "backup": False,
            "state": "ready", "up": True, "sessions": 0, "connects": dict.fromkeys(CONNECTS, 0),
            **changes}


def brief(one):
    """A session as brief=1 has it."""
    one = {key: value for key, value in one.items() if key not in BRIEF_LEAVES_OUT}
    for name in ("client", "server"):
        one[name] = {key: value for key, value in one[name].items()
                     if key not in SIDE_BRIEF_LEAVES_OUT}
    return one


class Refusal(Exception):
    """An answer as application/problem+json."""

    def __init__(self, status, detail):
        super().__init__(detail)
        self.status, self.detail = status, detail


class MockDaemon:
    """Its fields are the daemon's state; change them in a `with mock.changing()` block."""

    def __init__(self):
        self.listeners = [listener()]
        self.pools = [{"name": "web", "balance": "round_robin", "servers": [server()]}]
        self.sessions = []
        self.ended = []
        self.state = "running"
        self.version = "0.1.0"
        self.config = {"path": "/etc/finback/finback.conf", "loaded": "2026-11-22T20:00:00.000Z",
                       "reloads": 0, "failed_reloads": 0, "last_reload_ok": True,
                       "can_reload": True}
        self.workers = [{"index": 0, "sessions": 0, "buffer_bytes": 0, "pipes": 0, "open_fds": 22,
                         "accept_pauses": 0}]
        self.process = {"open_fds": 57, "rss_bytes": 4100096, "cpu_s": 0.5}
        self.dropped = 0
        self.refusals = {}      # path -> Refusal
        self.raw = {}           # path -> a text to answer as it is
        self.requests = []      # the paths asked for, with their queries
        self.speed = 1          # how much faster than ours its time goes by
        self.began = time.time()
        self._lock = threading.RLock()
        self._server = None
        self._thread = None
        self.port = 0

    @contextlib.contextmanager
    def changing(self):
        with self._lock:
            yield self

    # Its life: the port stays the same over a stop and a start.

    def start(self):
        self._server = Server(("127.0.0.1", self.port), Handler)
        self._server.daemon_of = self
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,),
                                        daemon=True)
        self._thread.start()

    def stop(self):
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop()

    def restart_process(self):
        """As a new process: it counts from 0, and has no session."""
        self.began = time.time()
        self.sessions = []
        self.ended = []
        for one in self.listeners:
            for counts in ("endings", "bytes", "fins", "resets"):
                one[counts] = dict.fromkeys(one[counts], 0)

    def end(self, number, ending="complete", **changes):
        """Session `number` ends."""
        one = next(live for live in self.sessions if live["id"] == number)
        self.sessions.remove(one)
        self.ended.insert(0, ended(number, ending, listener=one["listener"], **changes))
        counts = next(each for each in self.listeners if each["name"] == one["listener"])
        counts["endings"][ending] += 1

    def asked(self, part):
        """How often something was asked for with `part` in its path or query."""
        with self._lock:
            return sum(part in target for target in self.requests)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    # Its answers.

    def answer(self, target):
        path, _, query = target.partition("?")
        with self._lock:
            self.requests.append(target)
            if path in self.refusals:
                raise self.refusals[path]
            if path in self.raw:
                return self.raw[path]
            query = dict(urllib.parse.parse_qsl(query, strict_parsing=bool(query)))
            if path == "/api/v1/status":
                return self._status()
            if path == "/api/v1/sessions":
                return self._list(query)
            match = re.fullmatch(r"/api/v1/sessions/(\d+)", path)
            if match:
                return self._one(int(match[1]))
        raise Refusal(404, f"no {path}")

    def _status(self):
        listeners = []
        for one in self.listeners:
            active = dict.fromkeys(STATES, 0)
            for live in self.sessions:
                if live["listener"] == one["name"]:
                    active[live["state"]] += 1
            accepted = sum(active.values()) + sum(one["endings"].values())
            listeners.append({**one, "active": active, "accepted": accepted})
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(self.began))
        return copy.deepcopy({
            "version": self.version, "pid": 4242, "state": self.state, "started": stamp,
            "uptime_s": round(self.speed * (time.time() - self.began), 6), "config": self.config,
            "limits": {"max_sessions": 9985, "open_files": 20000}, "process": self.process,
            "log": {"dropped": self.dropped}, "sessions": len(self.sessions),
            "workers": self.workers, "listeners": listeners, "pools": self.pools,
        })

    def _list(self, query):
        limit = int(query.get("limit", 100))
        if query.get("state") == "ended":
            found = [one for one in self.ended if query.get("listener") in (None, one["listener"])]
            return {"sessions": copy.deepcopy(found[:limit])}
        states = query.get("state", ",".join(STATES))
        states = set(states.replace("half_closed,", "half_closed").split(","))
        if "half_closed" in states:
            states |= {"half_closed_client", "half_closed_server"}
        found = [one for one in self.sessions if one["state"] in states
                 and query.get("listener") in (None, one["listener"])]
        start = int(query.get("after", 0))
        answer = {"sessions": [brief(one) if query.get("brief") else one
                               for one in found[start:start + limit]]}
        if start + limit < len(found):
            answer["next"] = str(start + limit)
        return copy.deepcopy(answer)

    def _one(self, number):
        for one in self.sessions:
            if one["id"] == number:
                return copy.deepcopy(one)
        raise Refusal(404, f"no session {number}: it has ended or never was")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


class Handler(http.server.BaseHTTPRequestHandler):
    """Names as BaseHTTPRequestHandler wants them."""

    def do_GET(self):
        if self.path == "/":
            self._send_page()
            return
        try:
            answer = self.server.daemon_of.answer(self.path)
            text = answer if isinstance(answer, str) else json.dumps(answer)
            self._send(200, "application/json; charset=utf-8", text)
        except Refusal as refusal:
            self._send(refusal.status, "application/problem+json", json.dumps(
                {"type": "about:blank", "title": "Refused", "status": refusal.status,
                 "detail": refusal.detail}))

    def _send_page(self):
        nonce = secrets.token_hex(16)
        with open(PAGE, encoding="utf-8") as file:
            text = file.read().replace(PLACEHOLDER, nonce)
        self._send(200, "text/html; charset=utf-8", text,
                   {"Content-Security-Policy": POLICY.format(nonce)})

    def _send(self, status, kind, text, headers=None):
        body = text.encode()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": len(body),
                                "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
                                **(headers or {})}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass
