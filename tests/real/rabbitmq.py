"""A RabbitMQ of one's own: its node, its name service and its files are nobody else's."""

import contextlib
import glob
import os
import signal

import pytest

from lib.daemon import LIBC, PR_SET_PDEATHSIG
from lib.ports import free_port
from programs import Server, need

# Its own way to close a socket would be a reset.
CONFIG = """
listeners.tcp.1 = 127.0.0.1:{amqp}
stomp.listeners.tcp.1 = 127.0.0.1:{stomp}
tcp_listen_options.linger.on = false
tcp_listen_options.linger.timeout = 0
stomp.tcp_listen_options.linger.on = false
stomp.tcp_listen_options.linger.timeout = 0
"""


def stop_with_parent():
    """A signal that the script passes on to the node."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Door:
    """One protocol's port."""

    def __init__(self, port):
        self.address = f"127.0.0.1:{port}"


class Node(Server):
    """It takes its time to start. Its port is that of AMQP, which comes last."""

    starts_within = 60

    def __init__(self, directory, environment):
        self.directory = directory
        self.stomp = None
        script = program()
        super().__init__(directory, lambda port: self._configured(script, port), env=environment,
                         preexec_fn=stop_with_parent)

    def _configured(self, script, port):
        stomp = free_port()
        self.stomp = Door(stomp)
        text = CONFIG.format(amqp=port, stomp=stomp)
        (self.directory / "rabbitmq.conf").write_text(text)
        return [script]


def program():
    """The script of the package itself: the one in PATH wants to be root or rabbitmq."""
    need("rabbitmq-server", "epmd")
    found = glob.glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server")
    if not found:
        pytest.skip("needs rabbitmq-server, where Debian puts it")
    return found[0]


@contextlib.contextmanager
def rabbitmq(directory):
    """Serves AMQP, and STOMP at `stomp`."""
    program()
    epmd = need("epmd")
    (directory / "enabled").write_text("[rabbitmq_stomp].")
    names = {"HOME": directory, "RABBITMQ_NODENAME": "test@localhost",
             "RABBITMQ_MNESIA_BASE": directory / "mnesia", "RABBITMQ_LOG_BASE": directory / "log",
             "RABBITMQ_LOGS": "-", "RABBITMQ_CONFIG_FILE": directory / "rabbitmq.conf",
             "RABBITMQ_ENABLED_PLUGINS_FILE": directory / "enabled",
             "RABBITMQ_PID_FILE": directory / "pid", "RABBITMQ_CONF_ENV_FILE": "/dev/null",
             "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
             "ERL_EPMD_ADDRESS": "127.0.0.1"}
    with Server(directory, lambda port: [epmd, "-port", str(port), "-address", "127.0.0.1"],
                preexec_fn=stop_with_parent) as ports:
        names.update(ERL_EPMD_PORT=str(ports.port), RABBITMQ_DIST_PORT=str(free_port()))
        environment = {**os.environ, **{name: str(value) for name, value in names.items()}}
        with Node(directory, environment) as node:
            yield node
