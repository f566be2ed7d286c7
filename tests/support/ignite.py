"""Whether there is an Ignite here for tests: that of the environment, or that which script/test has fetched."""

import os
import sys
from pathlib import Path

import pytest

from django_dcache.testing.ignite_server import FOLDER_VARIABLE, NoIgnite, libraries

os.environ.setdefault(FOLDER_VARIABLE, str(Path(sys.prefix) / "ignite"))


def missing() -> str:
    """What is missing, and how to get it; empty if nothing is."""
    try:
        libraries()
    except NoIgnite as error:
        return str(error)
    return ""


def needs_ignite() -> None:
    """Skips the test that asks for it where there is none."""
    if words := missing():
        pytest.skip(words)
