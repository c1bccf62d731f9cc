"""The units as files: systemd has nothing to say against them, and little is left exposed."""

import shutil
import subprocess

import pytest

from sandbox import UNITS

EXPOSURE_MAX = 16  # tenths


def test_systemd_finds_no_fault(sandbox):
    done = sandbox.run("systemd-analyze", "verify", "--man=no",
                       "/etc/systemd/system/finback.service", "/etc/systemd/system/finback.socket")
    assert done == {"status": 0, "stdout": "", "stderr": ""}


def test_exposure_stays_low():
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                           f"--threshold={EXPOSURE_MAX}", UNITS[0]],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
