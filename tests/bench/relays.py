"""The relays that are compared: each with the configuration that its manual would advise for plain
TCP, started for one measurement and stopped after it."""

import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile

from running import Running

NGINX_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"
SOCKET_PROXYD = "/lib/systemd/systemd-socket-proxyd"
OWN = "finback"
CAPPED = "finback, capped"
OWN_KINDS = (OWN, CAPPED)
BUFFER_CAP = 'buffer_cap = "256KiB";'
EVERY_SESSION = 9700  # that a relay with two descriptors for each has to hold

FINBACK = """
workers = {workers};
log = {{ target = "stderr"; level = "warning"; sessions = "none"; }};
{options}
listeners = (
  {{ name = "bench"; listen = [ "127.0.0.1:{port}" ]; servers = "{server}"; {listener} }}
);
"""

CONTROL = 'control = {{ socket = "{directory}/control.sock"; }};'

# Pipes come out of the same 20,000 descriptors as sessions.
HAPROXY = """
global
  nbthread {workers}
  maxconn 9700
  maxpipes {pipes}
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
worker_processes {workers};
worker_rlimit_nofile 20000;
error_log {directory}/error.log crit;
pid {directory}/nginx.pid;
events {{ worker_connections 19900; multi_accept on; use epoll; }}
stream {{
  access_log off;
  server {{
    listen 127.0.0.1:{port} backlog=4096{share};
    proxy_pass {server};
    proxy_connect_timeout 5s;
    proxy_timeout 1h;
    proxy_half_close on;
  }}
}}
"""

# Becomes the program, which finds its listening socket where systemd would have put it.
PASS_SOCKET = """
import os, resource, sys
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


class Kind:
    """A relay as it can be started: a name, a program, and what it is given."""

    version_flag = "-v"

    def __init__(self, name, program, template, arguments, **values):
        self.name = name
        self.program = program
        self.template = template
        self.arguments = arguments
        self.values = values

    def most_sessions(self):
        return EVERY_SESSION

    def why_missing(self):
        """None where it can be run."""
        if shutil.which(self.program) is None:
            return f"{self.program} is not there"
        if self.template is NGINX and not os.path.exists(NGINX_STREAM):
            return "nginx has no stream module (Debian: libnginx-mod-stream)"
        return None

    def version(self):
        result = subprocess.run([self.program, self.version_flag], capture_output=True, text=True,
                                timeout=10, check=False)
        number = re.search(r"\d+\.[\w.+~-]+|\d+", result.stdout + result.stderr)
        return f"{os.path.basename(self.program)} {number[0] if number else '?'}"

    def write_configuration(self, port, server, directory):
        """The arguments with which the program reads it."""
        path = os.path.join(directory, "relay.conf")
        values = {key: str(value).format(directory=directory)
                  for key, value in self.values.items()}
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.template.format(port=port, server=server, directory=directory,
                                            **values))
        return [argument.format(path=path, directory=directory) for argument in self.arguments]

    def start(self, port, server, directory, cpu):
        arguments = self.write_configuration(port, server, directory)
        return Running([self.program, *arguments], port, directory, cpu)


class Finback(Kind):
    """One that may be of a version without the setting that is asked for."""

    version_flag = "--version"

    def __init__(self, name, program, workers=1, options="", listener=""):
        super().__init__(name, program, FINBACK, ["-c", "{path}"], workers=workers,
                         options=options, listener=listener)

    def why_missing(self):
        if shutil.which(self.program) is None:
            return f"{self.program} is not there"
        with tempfile.TemporaryDirectory(prefix="finback-bench-") as directory:
            arguments = self.write_configuration(1, "127.0.0.1:1", directory)
            result = subprocess.run([self.program, "--check", *arguments], capture_output=True,
                                    text=True, timeout=10, check=False)
        if result.returncode == 0:
            return None
        return "--check refuses it: " + (result.stderr.strip().splitlines() or ["?"])[0]


class SocketProxyd(Kind):
    """systemd's own relay, which has its listening socket passed."""

    version_flag = "--version"
    descriptors = 6  # of each session: two sockets and two pipes

    def __init__(self, name):
        super().__init__(name, SOCKET_PROXYD, "", [])

    def most_sessions(self):
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        return min(EVERY_SESSION, (limit - 100) // self.descriptors)

    def start(self, port, server, directory, cpu):
        with socket.create_server(("127.0.0.1", port), backlog=4096) as listener:
            running = Running([sys.executable, "-c", PASS_SOCKET, str(listener.fileno()),
                               self.program, f"--connections-max={self.most_sessions()}", server],
                              port, directory, cpu, pass_fds=(listener.fileno(),))
        try:
            running.wait_for_program(self.program)
        except BaseException:
            running.stop()
            raise
        return running


def haproxy(name, workers=1, splices=False):
    return Kind(name, "haproxy", HAPROXY, ["-db", "-f", "{path}"], workers=workers,
                pipes=250 if splices else 0, options=HAPROXY_SPLICE if splices else "")


def nginx(workers=1):
    return Kind("nginx", "nginx", NGINX, ["-c", "{path}", "-p", "{directory}"],
                module=NGINX_STREAM, workers=workers, share=" reuseport" if workers > 1 else "")


def all_kinds(finback):
    """Each with one thread."""
    return [
        Finback(OWN, finback),
        Finback(CAPPED, finback, listener=BUFFER_CAP),
        haproxy("haproxy"),
        haproxy("haproxy, splice", splices=True),
        nginx(),
        SocketProxyd("socket-proxyd"),
    ]


def many_workers(finback, workers):
    """Those that have more than one thread or process, with so many."""
    return [
        Finback(OWN, finback, workers),
        haproxy("haproxy", workers),
        haproxy("haproxy, splice", workers, splices=True),
        nginx(workers),
    ]


def present(kinds):
    """Those of them that can be run; says of the others why not."""
    found = []
    for kind in kinds:
        why = kind.why_missing()
        if why:
            print(f"left out: {kind.name}: {why}", file=sys.stderr)
        else:
            found.append(kind)
    return found
