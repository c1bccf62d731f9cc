"""What several files of tests here share."""

import pytest

from rabbitmq import rabbitmq


@pytest.fixture(scope="session", name="rabbit")
def rabbit_for_all(tmp_path_factory):
    """A RabbitMQ; to start one takes seconds."""
    with rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as node:
        yield node
