"""A server that is down, with a port that the kernel gives out as well, is not "reached" by a
socket that connects to itself."""

import os
import re
import socket
import subprocess

import pytest

from lib.daemon import BINARY

PORTS = (40000, 40001)  # all that the kernel may choose from, so that it soon hits the server's
TRIES = 64

INSIDE = """
ip link set lo up
echo %d %d > /proc/sys/net/ipv4/ip_local_port_range
exec "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a network namespace")
def test_refused_and_never_an_echo(tmp_path):
    config = tmp_path / "finback.conf"
    config.write_text(f'''
        log = {{ target = "stderr"; }};
        listeners = ({{ name = "web"; listen = "unix:{tmp_path}/web";
                        servers = "127.0.0.1:{PORTS[0]}"; }});''')
    command = ["unshare", "--net", "sh", "-c", INSIDE % PORTS, "sh", BINARY, "-c", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as daemon:
        try:
            for line in daemon.stderr:
                if line.startswith("finback: ready"):
                    break
            for _ in range(TRIES):
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(10)
                    client.connect(f"{tmp_path}/web")
                    try:
                        client.send(b"hello")
                        assert client.recv(5) == b""
                    except (BrokenPipeError, ConnectionResetError):
                        pass
        finally:
            daemon.terminate()
            log = daemon.stderr.read()
    endings = set(re.findall(r"ending=(\w+)", log))
    assert endings == {"connect_refused"}, log
