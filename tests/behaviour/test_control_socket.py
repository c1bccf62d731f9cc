"""Where the control interface listens: the socket's file, who may use it, what is in its place, and
what a reload changes."""

import os
import signal
import socket
import stat

import pytest

from lib.control import Control, Controlled, ControlledFinback
from lib.daemon import to_settings
from lib.peers import Backend, Peer, eventually, refuses

NOBODY = 65534


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def leave_stale_socket(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    sock.close()


def status_of(path):
    client = Control("unix:" + path)
    try:
        return client.status()
    finally:
        client.close()


def change(relay, **control):
    """The configuration with other settings for control."""
    config = {**relay.config, "control": {**relay.config["control"], **control}}
    relay.reload({name: value for name, value in config.items() if value is not None})


def test_only_the_owner_by_default():
    with Controlled() as relay:
        assert mode_of(relay.socket_path) == 0o600
        assert relay.lines_like(rf"finback: control: socket {relay.socket_path}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_mode_and_owner():
    with Controlled(control={"mode": "0666", "owner": f"{NOBODY}:{NOBODY}"}) as relay:
        status = os.stat(relay.socket_path)
        assert (status.st_uid, status.st_gid) == (NOBODY, NOBODY)
        assert mode_of(relay.socket_path) == 0o666


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
@pytest.mark.parametrize("mode, may", (("0600", False), ("0666", True)))
def test_permissions_hold(mode, may):
    with Controlled(control={"mode": mode}) as relay:
        os.chmod(relay.directory, 0o755)
        child = os.fork()
        if child == 0:
            code = 2
            try:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
                status_of(relay.socket_path)
                code = 0
            except PermissionError:
                code = 1
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == (0 if may else 1)


def test_the_file_is_removed_at_the_end():
    with Controlled() as relay:
        path = relay.socket_path
        assert os.path.exists(path)
        relay.end()
        assert not os.path.exists(path)


def test_a_stale_file_is_replaced():
    with Backend() as backend:
        finback = ControlledFinback({"listeners": (
            {"name": "web", "listen": "127.0.0.1:0", "servers": backend.address},)})
        leave_stale_socket(finback.socket_path)
        with finback:
            assert finback.control.status()["state"] == "running"


def test_after_a_crash_the_next_one_starts():
    with Controlled() as first:
        text = to_settings(first.config)
        first.kill()
        assert os.path.exists(first.socket_path)
        second = ControlledFinback({})
        with open(second.config_path, "w", encoding="utf-8") as file:
            file.write(text + 'log = { target = "stderr"; };')
        with second:
            assert status_of(first.socket_path)["pid"] == second.process.pid


def check_start_fails(finback, complaint):
    with pytest.raises(AssertionError):
        with finback:
            raise RuntimeError("it started")
    assert finback.process.returncode == 71
    assert finback.lines_like(rf"finback: error: {complaint}"), finback.lines()


def second_one(backend, **control):
    return ControlledFinback({"listeners": (
        {"name": "web", "listen": "127.0.0.1:0", "servers": backend.address},)}, control)


def test_a_live_one_is_left_alone():
    with Controlled() as relay:
        check_start_fails(second_one(relay.backend, socket=relay.socket_path),
                          rf"control\.socket: cannot listen on {relay.socket_path}: .*listens.*")
        assert relay.control.status()["pid"] == relay.process.pid
        assert status_of(relay.socket_path)["pid"] == relay.process.pid


def test_what_is_no_socket_is_left_alone():
    with Controlled() as relay:
        path = os.path.join(relay.directory, "file")
        with open(path, "w", encoding="utf-8") as file:
            file.write("precious")
        check_start_fails(second_one(relay.backend, socket=path),
                          rf"control\.socket: cannot listen on {path}: .*no socket")
        with open(path, encoding="utf-8") as file:
            assert file.read() == "precious"


def test_a_folder_that_is_not_there():
    with Controlled() as relay:
        path = os.path.join(relay.directory, "absent", "control.sock")
        check_start_fails(second_one(relay.backend, socket=path),
                          rf"control\.socket: cannot listen on {path}: No such file.*")


def test_a_port_that_is_taken():
    with Controlled() as relay:
        check_start_fails(second_one(relay.backend, http=relay.http_address),
                          rf"control\.http: cannot listen on {relay.http_address}: .*listens.*")


def test_another_ones_file_is_not_removed():
    """Somebody removed the file and another program took its place."""
    with Controlled() as relay:
        os.unlink(relay.socket_path)
        other = socket.socket(socket.AF_UNIX)
        other.bind(relay.socket_path)
        other.listen()
        relay.end()
        assert os.path.exists(relay.socket_path)
        other.close()


def test_the_runtime_directory_by_default(monkeypatch):
    with Backend() as backend:
        finback = ControlledFinback({"listeners": (
            {"name": "web", "listen": "127.0.0.1:0", "servers": backend.address},)})
        del finback.config["control"]
        finback.write_config(finback.config)
        monkeypatch.setenv("RUNTIME_DIRECTORY", finback.directory + ":/nowhere")
        with finback:
            assert finback.control.status()["state"] == "running"


def test_the_demo_has_none(monkeypatch, tmp_path):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    with ControlledFinback({}, arguments=["--demo=127.0.0.1:0"]) as finback:
        assert not finback.lines_like(r"finback: control.*")
        assert not os.listdir(tmp_path)


# ---- reloads -----------------------------------------------------------------------------------


def inode_of(path):
    return os.stat(path).st_ino


def test_a_reload_keeps_what_stays():
    with Controlled() as relay:
        client = relay.raw()
        client.send(b"GET /api/v1/sta")
        before, address = inode_of(relay.socket_path), relay.http_address
        relay.reload(relay.config)
        assert inode_of(relay.socket_path) == before
        assert relay.http_address == address
        assert len(relay.lines_like(r"finback: control: .*")) == 2
        assert relay.http.status()["config"]["reloads"] == 1
        client.send(b"tus HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.receive(12) == b"HTTP/1.1 200"


def test_a_reload_changes_the_mode_of_what_stays():
    with Controlled() as relay:
        change(relay, mode="0660")
        assert mode_of(relay.socket_path) == 0o660


def test_a_reload_moves_them():
    with Controlled() as relay:
        kept = relay.raw()
        half = relay.raw(relay.http_address)
        half.send(b"GET /api/v1/status HTTP/1.1\r\n")
        old_path, old_http = relay.socket_path, relay.http_address
        path = os.path.join(relay.directory, "other.sock")
        relay.control.status()
        change(relay, socket=path, http="[::1]:0")
        assert not os.path.exists(old_path)
        assert refuses(old_http)
        assert relay.http_address.startswith("[::1]:")
        assert status_of(path)["config"]["reloads"] == 1
        new = relay.client(relay.http_address)
        assert new.status()["pid"] == relay.process.pid
        # Who was connected before is still served.
        kept.send(b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.receive(12) == b"HTTP/1.1 200"
        half.send(b"Host: x\r\n\r\n")
        assert half.receive(12) == b"HTTP/1.1 200"
        assert relay.lines_like(rf"finback: control: closed socket {old_path}")
        assert relay.lines_like(rf"finback: control: closed http on {old_http}")


def test_who_waits_at_an_address_that_goes_is_served():
    with Controlled() as relay:
        path, http = relay.socket_path, relay.http_address
        config = {name: value for name, value in relay.config.items() if name != "control"}
        with relay.stopped():
            waiting = [relay.raw(address) for address in ("unix:" + path, http) * 20]
            for peer in waiting:
                peer.send(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
            relay.write_config(config)
            relay.signal(signal.SIGHUP)
        for peer in waiting:
            assert peer.receive(12) == b"HTTP/1.1 404"
        relay.wait_line(r"finback: reloaded\b.*")
        assert not os.path.exists(path) and refuses(http)


def test_a_reload_makes_a_lost_file_anew():
    with Controlled() as relay:
        os.unlink(relay.socket_path)
        relay.reload(relay.config)
        assert status_of(relay.socket_path)["config"]["reloads"] == 1
        relay.end()
        assert not os.path.exists(relay.socket_path)


def test_a_reload_turns_them_off_and_on():
    with Controlled() as relay:
        path, http = relay.socket_path, relay.http_address
        change(relay, socket="none", http="none")
        assert not os.path.exists(path) and refuses(http)
        relay.reload(relay.config)
        assert status_of(path)["config"]["reloads"] == 2
        assert relay.client(relay.http_address).status()["config"]["reloads"] == 2


def test_a_reload_that_cannot_listen_changes_nothing():
    with Controlled() as relay, Backend() as taken:
        config = {**relay.config, "control": {**relay.config["control"],
                                              "socket": os.path.join(relay.directory, "new.sock"),
                                              "http": taken.address},
                  "listeners": ({**relay.listener, "name": "other"},)}
        relay.write_config(config)
        relay.signal(signal.SIGHUP)
        relay.wait_line(rf"finback: error: control\.http: cannot listen on {taken.address}: .*")
        eventually(lambda: relay.control.status()["config"]["failed_reloads"] == 1)
        assert not os.path.exists(os.path.join(relay.directory, "new.sock"))
        in_force = [one["name"] for one in relay.control.status()["listeners"] if one["pool"]]
        assert in_force == ["web"]
        relay.reload(relay.config)


def test_a_reload_finds_descriptors_given_back():
    with Controlled() as relay:
        for number in range(20):
            change(relay, socket=os.path.join(relay.directory, f"{number}.sock"))
        relay.reload(relay.config)
        eventually(lambda: relay.descriptors() <= relay.baseline, "descriptors given back")


def test_many_addresses_of_one_name():
    with Controlled(control={"http": "localhost:0"}) as relay:
        addresses = [match[1] for match in relay.lines_like(r"finback: control: http on (\S+)")]
        assert addresses
        for address in addresses:
            peer = Peer.connect(address)
            peer.close()
            assert relay.client(address).status()["pid"] == relay.process.pid
