"""A daemon that is not there: for lists, answers and failures that the real one cannot be brought
to. It speaks just as much of the control interface as that takes."""

import copy
import json
import os
import shutil
import socketserver
import tempfile
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler

STATES = ("connecting", "open", "half_closed_client", "half_closed_server", "closing")
ENDINGS = ("complete", "client_reset", "server_reset", "idle_timeout", "killed")
TCP = {"state": "FIN_WAIT2", "rtt_us": 120, "unacked_bytes": 0, "unsent_bytes": 0,
       "unread_bytes": 0, "retransmits": 0, "total_retransmits": 3, "probes": 0,
       "last_heard_ms": 41000}

PROBE = {"protocol": "mqtt", "mode": "watching", "sent": 12, "replies": 12, "last_reply_s": 50.25,
         "awaiting_s": None, "next_in_s": 9.5}


def session(number, state="open", **more):
    """A session as the daemon describes it; `age_s` is what it is when the daemon starts."""
    side = {"address": f"10.1.{number // 250 % 250}.{number % 250}:5000", "local_address":
            "192.0.2.1:8080", "flow": "open", "bytes": 1000 + number, "idle_s": 1.5,
            "ended_s": None, "held_bytes": 0, "tcp": TCP, "dead_after_s": 120.0,
            "probe": None}
    return {"id": number, "listener": "web", "pool": "web", "server_name": "10.0.0.5:9000",
            "state": state, "worker": 0, "age_s": 100.0 + number, "idle_s": 1.5,
            "half_closed_s": 42.0 if state.startswith("half") else None, "connects": 1,
            "first_closer": None,
            "ending_in": {"deadline": "idle", "in_s": 3000.0 + number},
            "explanation": f"the sentence that explains session {number}",
            "client": dict(side), "server": {**side, "address": "10.0.0.5:9000"}, **more}


def status(sessions=(), **more):
    active = {state: sum(one["state"] == state for one in sessions) for state in STATES}
    endings = dict.fromkeys(ENDINGS, 0) | {"complete": 900, "server_reset": 3}
    dead = {"keepalive": 0, "user_timeout": 0, "probe": 0, "link": 0}
    return {
        "version": "0.1.0", "pid": os.getpid(), "state": "running",
        "started": "2026-11-19T17:38:18.123Z", "uptime_s": 273600.5,
        "config": {"path": "/etc/finback/finback.conf", "loaded": "2026-11-22T21:38:18.123Z",
                   "reloads": 3, "failed_reloads": 1, "last_reload_ok": True,
                   "can_reload": True},
        "limits": {"max_sessions": 99850, "open_files": 200000},
        "process": {"open_fds": 57, "rss_bytes": 4100096, "cpu_s": 12.3},
        "log": {"dropped": 0}, "sessions": len(sessions),
        "workers": [{"index": 0, "sessions": len(sessions), "buffer_bytes": 0, "pipes": 0,
                     "open_fds": 22, "accept_pauses": 0}],
        "listeners": [{"name": "web", "listen": ["0.0.0.0:8080", "[::]:8080"], "pool": "web",
                       "accepted": 903 + len(sessions), "active": active, "endings": endings,
                       "bytes": {"from_client": 1, "from_server": 2},
                       "fins": {"from_client": 1, "from_server": 2},
                       "resets": {"from_client": 1, "from_server": 2},
                       "dead_peers": {"client": dead, "server": dead | {"keepalive": 2}}}],
        "pools": [{"name": "web", "balance": "round_robin", "servers": [server("10.0.0.5:9000")]}],
        **more}


def server(name, **more):
    return {"pool": "web", "name": name, "address": name, "weight": 1, "backup": False,
            "state": "ready", "up": True, "sessions": 4,
            "connects": {"ok": 10, "refused": 1, "timeout": 2, "unreachable": 3, "failed": 4},
            **more}


def problem(code, detail, **more):
    return code, {"type": "about:blank", "title": "no", "status": code, "detail": detail, **more}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass

    def answer(self):
        mock = self.server.mock
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length).decode()
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        with mock.lock:
            mock.requests.append((self.command, self.path, body))
            answer = mock.answer(self.command, url.path, query)
        if isinstance(answer, bytes):  # as it is, and the end of the connection
            self.wfile.write(answer)
            self.close_connection = True
            return
        code, content = answer
        data = content if isinstance(content, str) else json.dumps(content)
        self.send_response(code)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data.encode())))
        self.end_headers()
        self.wfile.write(data.encode())

    do_GET = do_DELETE = do_POST = do_PATCH = answer


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_):
        pass  # the client went away


class Mock:
    """Answers on `path`. `fixed` maps (method, path) to an answer: (code, object or text), bytes
    that are sent raw, or a function that returns either."""

    def __init__(self, sessions=(), ended=(), fixed=None):
        self.directory = tempfile.mkdtemp(prefix="finback-")
        self.path = os.path.join(self.directory, "control.sock")
        self.sessions = {one["id"]: one for one in sessions}
        self.ended = list(ended)
        self.fixed = fixed or {}
        self.requests = []
        self.lock = threading.RLock()
        self.page_max = 10000
        self.started = time.monotonic()
        self.growth = {}  # id -> bytes a second from its server
        self._server = Server(self.path, Handler)
        self._server.mock = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def aged(self, one):
        elapsed = time.monotonic() - self.started
        one = copy.copy(one)
        one["age_s"] = round(one["age_s"] + elapsed, 6)
        one["server"] = {**one["server"], "bytes": one["server"]["bytes"] +
                         int(elapsed * self.growth.get(one["id"], 0))}
        return one

    def answer(self, method, path, query):
        if (method, path) in self.fixed:
            answer = self.fixed[method, path]
            return answer(query) if callable(answer) else answer
        parts = path.removeprefix("/api/v1/").split("/")
        if parts == ["status"]:
            current = status(self.sessions.values())
            current["uptime_s"] += time.monotonic() - self.started
            return 200, current
        if parts == ["sessions"]:
            return self.page(query)
        if parts[0] == "sessions" and len(parts) == 2:
            return self.one(method, int(parts[1]))
        return problem(404, f"nothing at {path}")

    def page(self, query):
        if query.get("state") == "ended":
            return 200, {"sessions": self.ended[:int(query.get("limit", 100))]}
        wanted = query["state"].split(",") if "state" in query else STATES
        if "half_closed" in wanted:
            wanted += ["half_closed_client", "half_closed_server"]
        after = int(query.get("after", "c0")[1:])
        left = [self.aged(one) for number, one in self.sessions.items()
                if number > after and one["state"] in wanted]
        page = left[:min(int(query.get("limit", 100)), self.page_max)]
        more = {"next": f"c{page[-1]['id']}"} if len(page) < len(left) else {}
        return 200, {"sessions": page, **more}

    def one(self, method, number):
        if number not in self.sessions:
            return problem(404, f"no session {number}: it has ended or never was")
        if method == "DELETE":
            del self.sessions[number]
            return 200, {"killed": number}
        return 200, self.aged(self.sessions[number])

    def asked(self, method="GET"):
        """The paths that were asked for, in order."""
        with self.lock:
            return [path for how, path, _ in self.requests if how == method]

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
