"""Parameters of tests that need an optional library: skipped, with the reason, where it is not installed."""

import sys
from importlib.util import find_spec
from typing import Any

import pytest

MODULES = {
    "lz4": "lz4",
    "msgpack": "msgpack",
    "msgspec": "msgspec",
    "zstd": "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd",
}
"""What each extra brings."""


def installed(name: str) -> bool:
    """Whether what an option of this name needs is there. One that is no extra needs nothing."""
    try:
        return name not in MODULES or find_spec(MODULES[name]) is not None
    except ModuleNotFoundError:
        return False


def options(*names: str) -> list[Any]:
    """The names as parameters."""
    return [
        pytest.param(name, marks=pytest.mark.skipif(not installed(name), reason=f"needs django-dcache[{name}]"))
        for name in names
    ]
