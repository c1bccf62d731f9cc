"""A lab for each test, where the machine allows one."""

import os
import shutil

import pytest

from lab import FORGET, Host, Lab, lose, table_of


def what_is_missing():
    if os.geteuid() != 0:
        return "network namespaces need root"
    for tool in ("ip", "nft"):
        if not shutil.which(tool):
            return f"network namespaces are set up with {tool}, which is not installed"
    return None


def why_not_here():
    """Namespaces or packet filters that the kernel, or a container around us, does not allow."""
    try:
        host = Host()
    except OSError as error:
        return f"no network namespace can be made here: {error}"
    try:
        host.nft(table_of("probe", lose(10), FORGET))
    except AssertionError as error:
        return f"no packet filter can be set here: {error}"
    finally:
        host.close()
    return None


def pytest_collection_modifyitems(items):
    """Those with a limit of their own take long: they come first, and far from one another, as
    neighbours go to one worker."""
    patient = [item for item in items if item.get_closest_marker("timeout")]
    quick = [item for item in items if not item.get_closest_marker("timeout")]
    step = max(1, len(quick) // (2 * len(patient) + 1))
    for number, item in enumerate(patient):
        quick.insert(number * (step + 1), item)
    items[:] = quick


@pytest.fixture(scope="session")
def obstacle():
    return what_is_missing() or why_not_here()


@pytest.fixture
def lab(obstacle):  # pylint: disable=redefined-outer-name
    """Three hosts in a row, gone after the test."""
    if obstacle:
        pytest.skip(obstacle)
    made = Lab()
    try:
        yield made
    finally:
        made.close()
