"""Arguments, exit statuses, and what is said about a configuration that is wrong."""

import re

import pytest

from lib.daemon import Finback, run
from lib.peers import Backend

USAGE, CONFIGURATION = 64, 78

GOOD = """
log = { target = "stderr"; };
listeners = ( { name = "web"; listen = "127.0.0.1:0"; servers = "127.0.0.1:9"; } );
"""


@pytest.fixture
def config(tmp_path):
    def write(text):
        path = tmp_path / "finback.conf"
        path.write_text(text)
        return str(path)
    return write


def said(result):
    return result.stdout + result.stderr


def test_version():
    result = run("--version")
    assert result.returncode == 0
    assert re.match(r"finback \d+\.\d+", result.stdout)


def test_help():
    result = run("--help")
    assert result.returncode == 0
    for option in ("-c", "--check", "--demo", "--version", "--help"):
        assert option in result.stdout


@pytest.mark.parametrize("arguments", (("--unknown",), ("-c",), ("-x",), ("surplus",)))
def test_bad_usage(arguments):
    result = run(*arguments)
    assert result.returncode == USAGE
    assert result.stderr and not result.stdout


def test_check_of_a_good_file(config):
    result = run("--check", "-c", config(GOOD))
    assert result.returncode == 0
    assert "listening" not in said(result)


@pytest.mark.parametrize("check", (("--check",), ()))
def test_all_errors_in_one_go(config, check):
    path = config("""workers = "many";
listeners = (
  { name = "web"; listen = "127.0.0.1:0"; servers = "127.0.0.1:9";
    timeouts = { idle = "soon"; }; },
  { name = "web"; listen = "127.0.0.1:0"; pool = "missing"; }
);
surprise = 1;
""")
    result = run(*check, "-c", path)
    assert result.returncode == CONFIGURATION
    for line, key in ((1, "workers"), (4, "idle"), (5, "name"), (5, "missing"), (7, "surprise")):
        assert re.search(rf"finback\.conf:{line}: .*{key}", said(result)), (line, key)
    assert "listening" not in said(result)


def test_unknown_key_suggests_the_nearest(config):
    result = run("--check", "-c", config(GOOD.replace("listeners", "listener")))
    assert result.returncode == CONFIGURATION
    assert re.search(r":3: .*listener\b.*listeners", said(result))


def test_syntax_error_names_its_line(config):
    result = run("--check", "-c", config("workers = 1;\nlog = { target = };\n"))
    assert result.returncode == CONFIGURATION
    assert "finback.conf:2:" in said(result)


def test_missing_file(tmp_path):
    result = run("-c", str(tmp_path / "absent.conf"))
    assert result.returncode == CONFIGURATION
    assert "absent.conf" in said(result)


@pytest.mark.parametrize("setting, key", (
    ('defaults = { accept_rate = 5; };', "accept_rate"),
    ('defaults = { client = { proxy_protocol = "accept"; }; };', "proxy_protocol"),
))
def test_key_that_does_nothing_so_far_is_refused(config, setting, key):
    result = run("--check", "-c", config(GOOD + setting))
    assert result.returncode == CONFIGURATION
    assert re.search(rf"{key}.*not supported", said(result))


def test_address_in_use_ends_the_start(config):
    with Backend() as backend:
        path = config(GOOD.replace("127.0.0.1:0", backend.address))
        result = run("-c", path)
        assert result.returncode not in (0, USAGE)
        assert backend.address in said(result)


def test_several_addresses_a_listener(tmp_path):
    backend = Backend()
    listen = ["127.0.0.1:0", "[::1]:0", f"unix:{tmp_path}/web"]
    config = {"listeners": ({"name": "web", "listen": listen, "servers": backend.address},)}
    with Finback(config) as finback:
        finback.own(backend)
        for index in range(len(listen)):
            finback.connect(index=index).send(b"hello")
            assert backend.accept().receive(5) == b"hello"
    assert not (tmp_path / "web").exists(), "the socket file is left behind"
