"""The short cut with its compiled extra, and without."""

import os
import subprocess
import sys

import pytest

from django_dcache.runtime import speed
from support.checkout import CHECKOUT


def test_the_other_twin():
    """What test_shortcut.py claims holds with the compiled extra and without: here, for the one that is not in use."""
    pytest.importorskip("dcache_speed", reason="no compiled extra: no C compiler, or no Python.h")
    environment = {**os.environ, "DCACHE_SPEED": "0" if speed.compiled else "1"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/integration/runtime/test_shortcut.py",
    ]
    run = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
