"""The relays that are compared: each with the configuration that its manual would advise for plain
TCP on one core, started for one measurement and stopped after it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

STARTING = 10  # seconds that a relay may take to listen, and to end
NGINX_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"
PAGE = os.sysconf("SC_PAGE_SIZE")
LISTENING = "0A"

FINBACK = """
workers = 1;
log = {{ target = "stderr"; level = "warning"; sessions = "none"; }};
{options}
listeners = (
  {{ name = "bench"; listen = [ "127.0.0.1:{port}" ]; servers = "{server}"; }}
);
"""

CONTROL = 'control = {{ socket = "{directory}/control.sock"; }};'

HAPROXY = """
global
  nbthread 1
  maxconn 9000
  maxpipes 900
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
{options}
frontend bench
  bind 127.0.0.1:{port} backlog 4096
  default_backend servers
backend servers
  server one {server}
"""

HAPROXY_SPLICE = "  option splice-request\n  option splice-response\n"

NGINX = """
load_module {module};
user root;
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
error_log {directory}/error.log crit;
pid {directory}/nginx.pid;
events {{ worker_connections 19900; multi_accept on; use epoll; }}
stream {{
  access_log off;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    proxy_pass {server};
    proxy_connect_timeout 5s;
    proxy_timeout 1h;
    proxy_half_close on;
  }}
}}
"""


class Kind:
    """A relay as it can be started: a name, a program, and what it is given."""

    def __init__(self, name, program, template, arguments, **values):
        self.name = name
        self.program = program
        self.template = template
        self.arguments = arguments
        self.values = values

    def why_missing(self):
        """None where it can be run."""
        if shutil.which(self.program) is None:
            return f"{self.program} is not there"
        if self.template is NGINX and not os.path.exists(NGINX_STREAM):
            return "nginx has no stream module (Debian: libnginx-mod-stream)"
        return None

    def version(self):
        flag = "--version" if self.template is FINBACK else "-v"
        result = subprocess.run([self.program, flag], capture_output=True, text=True, timeout=10,
                                check=False)
        lines = (result.stdout + result.stderr).strip().splitlines()
        return lines[0] if lines else "?"

    def start(self, port, server, directory, cpu):
        path = os.path.join(directory, "relay.conf")
        values = {key: value.format(directory=directory) for key, value in self.values.items()}
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.template.format(port=port, server=server, directory=directory,
                                            **values))
        arguments = [argument.format(path=path, directory=directory)
                     for argument in self.arguments]
        return Running([self.program, *arguments], port, directory, cpu)


class Observed(Kind):
    """finback with its control interface on and in use."""

    def start(self, port, server, directory, cpu):
        running = super().start(port, server, directory, cpu)
        running.observer = Observer(os.path.join(directory, "control.sock"), cpu,
                                    running.process.pid)
        return running


class Observer:
    """Asks each second what a scraper and an open status page ask, from a CPU that is not the
    relay's. Says at the end what the thread that answers has taken."""

    PATHS = ("/metrics", "/api/v1/status", "/api/v1/sessions?brief=1&limit=100",
             "/api/v1/sessions?state=ended&limit=100")

    def __init__(self, path, cpu, pid):
        self._path = path
        self._pid = pid
        self._began = time.monotonic(), thread_seconds(pid, pid)
        self._cpus = os.sched_getaffinity(0) - {cpu} or os.sched_getaffinity(0)
        self._stopped = threading.Event()
        self.answers = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        os.sched_setaffinity(0, self._cpus)  # of this thread
        while not self._stopped.is_set():
            for path in self.PATHS:
                self._ask(path)
            self._stopped.wait(1)

    def _ask(self, path):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(STARTING)
            sock.connect(self._path)
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = sock.recv(65536)
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise RuntimeError(f"{path}: {answer[:200]!r}")
            while sock.recv(1 << 20):
                pass
        self.answers += 1

    def stop(self):
        self._stopped.set()
        self._thread.join()
        took = thread_seconds(self._pid, self._pid) - self._began[1]
        share = took / (time.monotonic() - self._began[0])
        print(f"{self.answers} answers; the thread that gives them: {share:.2%} of a CPU",
              file=sys.stderr)
        if self.answers == 0:
            raise RuntimeError("the control interface never answered")


class Running:
    """A relay that runs; its processor time and its memory, of all its processes together."""

    def __init__(self, command, port, directory, cpu):
        self.observer = None
        self.log_path = os.path.join(directory, "relay.log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, preexec_fn=pinned(cpu))
        try:
            self._wait_listening(port)
        except BaseException:
            self.stop()
            raise

    def _wait_listening(self, port):
        end = time.monotonic() + STARTING
        while not is_listening(port):
            if self.process.poll() is not None or time.monotonic() > end:
                with open(self.log_path, encoding="utf-8", errors="replace") as log:
                    raise RuntimeError("the relay does not listen: " + log.read()[-2000:])
            time.sleep(0.02)
        time.sleep(0.1)  # for what it does after it listens

    def processes(self):
        """Its own and all below it."""
        found = [self.process.pid]
        for pid in found:
            found += children(pid)
        return found

    def cpu_seconds(self):
        total = 0
        for pid in self.processes():
            total += sum(thread_seconds(pid, task) for task in os.listdir(f"/proc/{pid}/task"))
        return total

    def resident_bytes(self):
        total = 0
        for pid in self.processes():
            with open(f"/proc/{pid}/statm", encoding="ascii") as file:
                total += int(file.read().split()[1]) * PAGE
        return total

    def stop(self):
        if self.observer:
            self.observer.stop()
        if self.process.poll() is not None:
            return
        processes = self.processes()
        self.process.terminate()
        try:
            self.process.wait(STARTING)
        except subprocess.TimeoutExpired:
            for pid in processes:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.wait(STARTING)


def thread_seconds(pid, task):
    with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0]) / 1e9


def pinned(cpu):
    """For preexec_fn: runs on this CPU alone; None: anywhere."""
    return None if cpu is None else lambda: os.sched_setaffinity(0, {cpu})


def children(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
            found += map(int, file.read().split())
    return found


def is_listening(port):
    """Asked of the kernel, since a connection to find out would already be a session."""
    wanted = f":{port:04X}"
    with open("/proc/self/net/tcp", encoding="ascii") as file:
        for line in file:
            fields = line.split()
            if fields[1].endswith(wanted) and fields[3] == LISTENING:
                return True
    return False


def observed_kinds(finback):
    """The same program twice: with the control interface off, and on and in use."""
    return [
        Kind("finback", finback, FINBACK, ["-c", "{path}"], options=""),
        Observed("finback, observed", finback, FINBACK, ["-c", "{path}"], options=CONTROL),
    ]


def all_kinds(finback):
    return [
        Kind("finback", finback, FINBACK, ["-c", "{path}"], options=""),
        Kind("haproxy", "haproxy", HAPROXY, ["-db", "-f", "{path}"], options=""),
        Kind("haproxy, splice", "haproxy", HAPROXY, ["-db", "-f", "{path}"],
             options=HAPROXY_SPLICE),
        Kind("nginx", "nginx", NGINX, ["-c", "{path}", "-p", "{directory}"], module=NGINX_STREAM),
    ]
