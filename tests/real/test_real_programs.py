"""Programs that people use, through finback: what they carry is whole, and their sessions end as
complete."""

import base64
import getpass
import hashlib
import os
import random

import pytest

from lib.daemon import Finback
from programs import Server, need, run, sha256_of

FILES = {"empty": 0, "byte": 1, "small": 1000, "page": 65536, "odd": 1048583, "large": 64 << 20}

NGINX = """
daemon off;
master_process off;
error_log {directory}/error.log;
pid {directory}/nginx.pid;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  server {{
    listen 127.0.0.1:{port};
    root {directory}/files;
  }}
}}
"""

SSHD = """
ListenAddress 127.0.0.1
Port {port}
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/user_key.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin yes
AcceptEnv LC_ALL
"""
SSHD_CHROOT = "/run/sshd"


def in_front_of(server):
    return Finback({"workers": 2, "listeners": (
        {"name": "web", "listen": "127.0.0.1:0", "servers": server.address},)})


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


# nginx and curl.


@pytest.fixture(scope="module", name="web")
def nginx_with_files(tmp_path_factory):
    nginx, _ = need("nginx", "curl")
    directory = tmp_path_factory.mktemp("nginx")
    (directory / "files").mkdir()
    for name, size in FILES.items():
        (directory / "files" / name).write_bytes(random.Random(name).randbytes(size))

    def command(port):
        config = write(directory / "nginx.conf", NGINX.format(directory=directory, port=port))
        return [nginx, "-c", config, "-p", directory, "-e", directory / "error.log"]

    with Server(directory, command) as server:
        server.files = directory / "files"
        yield server


def curl(finback, directory, names, *options):
    """Fetches these files with one call of curl, and compares them."""
    arguments = []
    for number, name in enumerate(names):
        arguments += ["-o", directory / str(number), f"http://{finback.address()}/{name}"]
    run(["curl", "-q", "-sS", "-f", "--noproxy", "*", "--max-time", "60", *options, *arguments])


def check_files(web, directory, names):
    for number, name in enumerate(names):
        assert sha256_of(directory / str(number)) == sha256_of(web.files / name), name


@pytest.mark.parametrize("name", FILES)
def test_curl_with_connection_close(web, tmp_path, name):
    """The server ends each connection."""
    with in_front_of(web) as finback:
        curl(finback, tmp_path, [name], "-H", "Connection: close")
        check_files(web, tmp_path, [name])
        session = finback.wait_session(ending="complete")
        assert session["bytes_from_server"] > FILES[name]


def test_curl_with_keep_alive(web, tmp_path):
    """All files over one connection, which the client ends."""
    with in_front_of(web) as finback:
        curl(finback, tmp_path, FILES)
        check_files(web, tmp_path, FILES)
        session = finback.wait_session(ending="complete")
        assert session["bytes_from_server"] > sum(FILES.values())
        assert session["first_closer"] == "client"


def test_curl_many_at_a_time(web, tmp_path):
    names = ["small", "page", "odd"] * 20
    with in_front_of(web) as finback:
        curl(finback, tmp_path, names, "-Z", "--parallel-immediate", "-H", "Connection: close")
        check_files(web, tmp_path, names)
        finback.wait_session(count=len(names), ending="complete")


# OpenSSH.


@pytest.fixture(name="sshd")
def sshd_for_this_user(tmp_path):
    sshd, keygen, _ = need("sshd", "ssh-keygen", "ssh")
    for name in ("host_key", "user_key"):
        run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name])
    # What Debian makes at boot, and sshd insists on when it is root.
    is_chroot_ours = os.geteuid() == 0 and not os.path.isdir(SSHD_CHROOT)
    if is_chroot_ours:
        os.makedirs(SSHD_CHROOT, mode=0o755, exist_ok=True)

    def command(port):
        config = write(tmp_path / "sshd_config", SSHD.format(directory=tmp_path, port=port))
        return [sshd, "-D", "-e", "-f", config]

    try:
        with Server(tmp_path, command) as server:
            yield server
    finally:
        if is_chroot_ours:
            os.rmdir(SSHD_CHROOT)


def ssh_command(finback, directory, remote):
    host, port = finback.address().rsplit(":", 1)
    options = {"IdentitiesOnly": "yes", "BatchMode": "yes", "StrictHostKeyChecking": "no",
               "UserKnownHostsFile": directory / "known_hosts", "LogLevel": "ERROR"}
    return ["ssh", "-F", "none", "-T", "-i", directory / "user_key", "-p", port,
            *(f"-o{key}={value}" for key, value in options.items()),
            f"{getpass.getuser()}@{host}", remote]


@pytest.mark.timeout(170)
def test_ssh_sorts_a_large_file(sshd, tmp_path):
    """sort answers only when its input has come to its end."""
    lines = tmp_path / "lines"
    lines.write_bytes(base64.encodebytes(random.Random(1).randbytes(75 << 20)))
    assert lines.stat().st_size > 100e6
    with in_front_of(sshd) as finback:
        with open(lines, "rb") as file:
            answer = run(ssh_command(finback, tmp_path, "LC_ALL=C sort"), within=120, stdin=file)
        session = finback.wait_session(ending="complete")
        assert session["bytes_from_client"] > 100e6
        assert session["bytes_from_server"] > 100e6
    with open(lines, "rb") as file:
        wanted = run(["sort"], within=120, stdin=file, env={**os.environ, "LC_ALL": "C"})
    assert hashlib.sha256(answer).hexdigest() == hashlib.sha256(wanted).hexdigest()


# git.


@pytest.fixture(name="repository")
def git_repository(tmp_path, monkeypatch):
    git = need("git")
    for key in [key for key in os.environ if key.startswith("GIT_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    served = tmp_path / "served"
    path = served / "project"
    run([git, "init", "-q", path])
    for number in range(5):
        (path / f"file{number}").write_bytes(random.Random(number).randbytes(4 << 20))
        run([git, "-C", path, "add", "."])
        run([git, "-C", path, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit",
             "-q", "-m", f"file {number}"])
    return git, served


def test_git_clone(repository, tmp_path):
    git, served = repository
    daemon = os.path.join(run([git, "--exec-path"]).decode().strip(), "git-daemon")
    if not os.path.exists(daemon):
        pytest.skip("needs git-daemon")

    def command(port):
        return [daemon, "--listen=127.0.0.1", f"--port={port}", "--reuseaddr", "--export-all",
                f"--base-path={served}", served]

    with Server(tmp_path, command) as server, in_front_of(server) as finback:
        clone = tmp_path / "clone"
        run([git, "clone", "-q", f"git://{finback.address()}/project", clone])
        finback.wait_session(ending="complete")
        run([git, "-C", clone, "fsck", "--strict"])
        heads = [run([git, "-C", path, "rev-parse", "HEAD"]) for path in
                 (clone, served / "project")]
        assert heads[0] == heads[1]
        for number in range(5):
            assert sha256_of(clone / f"file{number}") == \
                sha256_of(served / "project" / f"file{number}")


# nc and socat: half-close from the command line.


def some_lines():
    return base64.encodebytes(random.Random(2).randbytes(1 << 20))


def sorted_lines(lines):
    return b"".join(sorted(lines.splitlines(keepends=True)))


def test_nc_against_the_demo():
    nc = need("nc")
    with Finback(arguments=["--demo=127.0.0.1:0"]) as finback:
        (addresses,) = finback.addresses.values()
        host, port = addresses[0].rsplit(":", 1)
        lines = some_lines()
        assert run([nc, "-N", host, port], input=lines) == sorted_lines(lines)
        finback.wait_session(ending="complete", bytes_from_client=len(lines))


def test_socat_on_both_ends(tmp_path):
    """The client's socat ends its flow with its input; the server's tells sort."""
    socat = need("socat")

    def command(port):
        return [socat, "-t", "60", f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork",
                "EXEC:sort"]

    environment = {**os.environ, "LC_ALL": "C"}
    with Server(tmp_path, command, env=environment) as server, in_front_of(server) as finback:
        lines = some_lines()
        answer = run([socat, "-t", "60", "-", f"TCP:{finback.address()}"], input=lines)
        assert answer == sorted_lines(lines)
        finback.wait_session(ending="complete", bytes_from_client=len(lines),
                             bytes_from_server=len(lines))


def test_socat_one_way(tmp_path):
    """Neither end ever looks at the other direction."""
    socat = need("socat")
    taken = tmp_path / "taken"

    def command(port):
        return [socat, "-u", f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork",
                f"OPEN:{taken},creat,append"]

    with Server(tmp_path, command) as server, in_front_of(server) as finback:
        lines = some_lines()
        run([socat, "-u", "-", f"TCP:{finback.address()}"], input=lines)
        finback.wait_session(ending="complete", bytes_from_client=len(lines))
        assert taken.read_bytes() == lines
