"""What all tests in Python share: nothing left in the tree, and enough descriptors for many peers."""

import resource
import sys

sys.dont_write_bytecode = True

PEERS = 8192


def pytest_configure(config):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = PEERS if hard == resource.RLIM_INFINITY else min(PEERS, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
