"""finbackctl as its users see it: a program that is run to its end, or in a terminal of a given
size whose screen is read."""

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import pyte

from lib.daemon import BINARY, Relay, environment
from lib.peers import TIMEOUT

CTL = os.path.join(os.path.dirname(BINARY), "finbackctl")

OK, REFUSED, USAGE, UNAVAILABLE, OUTPUT, LATER, PROTOCOL = 0, 1, 64, 69, 74, 75, 76

KEYS = {"up": "\x1b[A", "down": "\x1b[B", "home": "\x1b[1~", "end": "\x1b[4~",
        "page down": "\x1b[6~", "page up": "\x1b[5~", "enter": "\r", "escape": "\x1b"}


def ctl_environment(socket=None, **more):
    """As the program has it, without what the shell of whoever runs the tests adds."""
    kept = {key: value for key, value in environment().items()
            if key not in ("FINBACK_SOCKET", "NO_COLOR", "LC_ALL", "LC_CTYPE", "LANG", "COLUMNS")}
    kept.update(LC_ALL="C.UTF-8", http_proxy="http://127.0.0.1:9", ALL_PROXY="http://127.0.0.1:9")
    if socket:
        kept["FINBACK_SOCKET"] = socket
    return {**kept, **{key: value for key, value in more.items() if value is not None}}


def ctl(*arguments, socket=None, within=TIMEOUT, stdin=subprocess.DEVNULL, env=None, **options):
    """Runs it to its end; what subprocess.run() returns, output as text."""
    options.setdefault("stdout", subprocess.PIPE)
    return subprocess.run([CTL, *map(str, arguments)], stdin=stdin, stderr=subprocess.PIPE,
                          text=True, timeout=within, check=False,
                          env=ctl_environment(socket, **(env or {})), **options)


class ControlledRelay(Relay):
    """A relay with a control socket; `top` are settings beside it."""

    def __init__(self, **options):
        super().__init__(**options)
        self.control = os.path.join(self.directory, "control.sock")
        self.config["control"] = {"socket": self.control}
        self.write_config(self.config)

    def ctl(self, *arguments, status=OK, **options):
        """Runs it to its end against this daemon; what it printed."""
        result = ctl(*arguments, socket=self.control, **options)
        assert result.returncode == status, result
        return result.stdout if status == OK else result.stderr

    def listed(self, *arguments):
        """The live sessions as the daemon describes them."""
        return json.loads(self.ctl("sessions", "--json", *arguments))["sessions"]


class Terminal:
    """A program in a terminal of `columns` x `lines`; the screen is what pyte makes of its output."""

    def __init__(self, *arguments, socket=None, columns=80, lines=24, env=None, program=None):
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self.master, slave = pty.openpty()
        self.output = b""
        self._set_size(columns, lines)
        # A session of its own with the terminal for its own: it gets the signals, SIGHUP as well.
        self.process = subprocess.Popen(
            [*(program or [CTL]), *map(str, arguments)], stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True, preexec_fn=self._prepare,
            env=ctl_environment(socket, **{"TERM": "linux", **(env or {})}))
        os.close(slave)

    @staticmethod
    def _prepare():
        """In the child: the terminal is its own, and signals are as a shell would have them."""
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)

    def _set_size(self, columns, lines):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns, lines):
        self.screen.resize(lines, columns)
        self._set_size(columns, lines)

    def read(self, seconds=0.05):
        """Takes what the program has written meanwhile. Returns False once it has closed."""
        end = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self.master, select.POLLIN)
        while poll.poll(max(0, end - time.monotonic()) * 1000):
            try:
                data = os.read(self.master, 65536)
            except OSError:  # EIO: nobody has the other end any more
                return False
            if not data:
                return False
            self.output += data
            self._stream.feed(data)
        return True

    @property
    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self):
        return "\n".join(self.lines)

    def wait(self, condition, what="the screen", within=TIMEOUT):
        """Reads on until `condition`, a text or a function of this terminal, holds."""
        holds = (lambda me: condition in me.text) if isinstance(condition, str) else condition
        end = time.monotonic() + within
        while not holds(self):
            assert time.monotonic() < end, f"no {condition!r} on {what}:\n{self.text}"
            if not self.read():
                assert holds(self), f"ended without {condition!r}:\n{self.text}"
        return self

    def press(self, *keys):
        for key in keys:
            os.write(self.master, KEYS.get(key, key).encode())
        return self

    def attributes(self, text):
        """The first character's of the first place where this text stands."""
        for number, line in enumerate(self.screen.display):
            if text in line:
                return self.screen.buffer[number][line.index(text)]
        raise AssertionError(f"no {text!r}:\n{self.text}")

    def wait_exit(self, status=0, within=TIMEOUT):
        """Waits for its end with this status; None: whichever."""
        end = time.monotonic() + within
        while self.read() and self.process.poll() is None and time.monotonic() < end:
            pass
        ended = self.process.wait(max(0.1, end - time.monotonic()))
        assert status in (None, ended), (ended, self.text)
        self.read()
        return self

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(TIMEOUT)
        with contextlib.suppress(OSError):
            os.close(self.master)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
