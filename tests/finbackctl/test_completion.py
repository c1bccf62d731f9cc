"""Completion in bash and zsh as it is typed: commands, options, and the names and ids of a running
finback; without one, nothing and no complaint."""

import os
import shutil

import pytest

from ctl import CTL, Terminal
from lib.daemon import TOP
from mock_daemon import Mock, server, session

FUNCTIONS = "/usr/share/bash-completion/bash_completion"
COMPLETIONS = os.path.join(TOP, "completions")

SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"],
             f"source {FUNCTIONS}; source {COMPLETIONS}/finbackctl.bash; "
             "bind 'set show-all-if-ambiguous on'; bind 'set bell-style none'; "
             "bind 'set enable-bracketed-paste off'; PS1='$ '"),
    "zsh": (["zsh", "-f", "-i"],
            f"fpath=({COMPLETIONS} $fpath); autoload -Uz compinit; compinit -D -u; unsetopt beep; "
            "unsetopt list_beep; setopt no_prompt_sp; PS1='$ '"),
}

NAMES = [server("10.0.0.5:9000"), server("unix:/run/app.sock"), server("10.0.0.6:9000", pool="db")]
STATUS = {"listeners": [{"name": "front", "active": {}}, {"name": "local", "active": {}}],
          "pools": [{"name": "web", "servers": NAMES[:2]}, {"name": "db", "servers": NAMES[2:]}]}


class Shell(Terminal):
    def __init__(self, name, socket):
        program, set_up = SHELLS[name]
        path = os.path.dirname(CTL) + ":" + os.environ["PATH"]
        super().__init__(socket=socket, columns=100, lines=40, program=program,
                         env={"PATH": path, "HOME": "/nonexistent", "HISTFILE": "", "PS1": "$ "})
        self.press(set_up, "; clear; echo rea''dy", "enter")
        self.wait(lambda me: me.lines[:2] == ["ready", "$"])

    def complete(self, line, becomes=None):
        """Presses TAB behind a line, and waits until the screen is such that `becomes` holds for
        its lines without backslashes; by default for a while."""
        # Not by an interrupt, which would throw away what is typed after it.
        self.press("\x15", "\x0c")
        self.wait(lambda me: me.lines[0] == "$" and not any(me.lines[1:]))
        self.press(line).wait(lambda me: me.lines[0].endswith(line.rstrip()))
        self.press("\t")
        if becomes:
            self.wait(lambda me: becomes(me.text.replace("\\", "").split("\n")))
        else:
            self.read(1)
        return self.text


@pytest.fixture(scope="module", params=SHELLS, name="shell")
def _shell(request):
    if not shutil.which(request.param):
        pytest.skip(f"there is no {request.param}")
    if request.param == "bash" and not os.path.exists(FUNCTIONS):
        pytest.skip("there is no bash-completion")
    fixed = {("GET", "/api/v1/status"): (200, STATUS),
             ("GET", "/api/v1/servers"): (200, {"servers": NAMES})}
    with Mock([session(number) for number in (7, 4711, 4712)], fixed=fixed) as mock:
        with Shell(request.param, mock.path) as shell:
            yield shell


@pytest.mark.parametrize("typed, becomes", (
    ("finbackctl stat", "$ finbackctl status"),
    ("finbackctl rel", "$ finbackctl reload"),
    ("finbackctl --so", "$ finbackctl --socket"),
    ("finbackctl drain --wa", "$ finbackctl drain --wait"),
    ("finbackctl sessions --ende", "$ finbackctl sessions --ended"),
    ("finbackctl sessions --listener fr", "$ finbackctl sessions --listener front"),
    ("finbackctl kill --pool d", "$ finbackctl kill --pool db"),
    ("finbackctl kill --server 10.0.0.5", "$ finbackctl kill --server 10.0.0.5:9000"),
    ("finbackctl kill --server u", "$ finbackctl kill --server unix:/run/app.sock"),
    ("finbackctl sessions --state cl", "$ finbackctl sessions --state closing"),
    ("finbackctl sessions --state open,con", "$ finbackctl sessions --state open,connecting"),
    ("finbackctl session 47", "$ finbackctl session 471"),
    ("finbackctl --json session 47", "$ finbackctl --json session 471"),
    ("finbackctl kill 7 47", "$ finbackctl kill 7 471"),
    ("finbackctl server web/1", "$ finbackctl server web/10.0.0.5:9000"),
    ("finbackctl server web/10.0.0.5:9", "$ finbackctl server web/10.0.0.5:9000"),
    ("finbackctl server web/u", "$ finbackctl server web/unix:/run/app.sock"),
    ("finbackctl server web/10.0.0.5:9000 m", "$ finbackctl server web/10.0.0.5:9000 maint"),
    ("finbackctl top --inter", "$ finbackctl top --interval"),
))
def test_what_is_typed_is_completed(shell, typed, becomes):
    shell.complete(typed, lambda lines: any(line.startswith(becomes) for line in lines))


@pytest.mark.parametrize("typed, listed", (
    ("finbackctl ", ("status", "sessions", "session", "kill", "server", "reload", "drain", "top")),
    ("finbackctl sessions --", ("--state", "--ending-within", "--ended", "--brief", "--json")),
    ("finbackctl kill ", ("7", "4711", "4712")),
    ("finbackctl kill --listener ", ("front", "local")),
    ("finbackctl sessions --pool ", ("web", "db")),
    ("finbackctl server ", ("web/10.0.0.5:9000", "web/unix:/run/app.sock", "db/10.0.0.6:9000")),
    ("finbackctl server web/x ", ("ready", "drain", "maint")),
))
def test_what_there_is_is_listed(shell, typed, listed):
    shell.complete(typed, lambda lines: set(listed) <= set(" ".join(lines).split()))


def test_socket_on_the_line_is_asked(shell):
    with Mock([session(99123)]) as other:
        shell.complete(f"finbackctl --socket {other.path} session 99",
                       lambda lines: any(line.endswith("session 99123") for line in lines))


@pytest.mark.parametrize("name", SHELLS)
def test_without_a_daemon_there_is_no_complaint(name):
    if not shutil.which(name):
        pytest.skip(f"there is no {name}")
    with Shell(name, "/nonexistent/control.sock") as shell:
        for typed in ("finbackctl session 4", "finbackctl kill --pool w", "finbackctl server w"):
            assert [line for line in shell.complete(typed).splitlines() if line.strip()] == [
                f"$ {typed}"]
