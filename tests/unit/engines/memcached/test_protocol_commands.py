"""Commands as they are sent."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_dcache.commands import Arithmetic, Flush, Get, Remove, Store, Token, Touch
from django_dcache.engines.memcached.protocol import (
    MONTH,
    encode,
    exptime,
)

FIRST, SERIAL = 40, 7
"""The opaque number of the first command, and the connection's serial number."""
NOW = 1_700_000_000.0
TOKEN = Token(99, SERIAL)

# Commands


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (Get(b"k"), b"mg k v f O5\r\n"),
        (Get(b"k", 3), b"mg \xff3;k v f O5\r\n"),
        (Get(b"k", value=False), b"mg k s f O5\r\n"),
        (Get(b"k", value=False, token=True), b"mg k s c f O5\r\n"),
        (Get(b"k", ttl=True, token=True), b"mg k v t c f O5\r\n"),
        (Get(b"k", ttl=True, lease=True), b"mg k v t c N86400 f O5\r\n"),
        (Get(b"k", value=False, peek=True), b"mg k s u f O5\r\n"),
        (Get(b"k", value=False, uncounted=True), b"mg k s T0 f O5\r\n"),
        (Store(b"k", 0, b"v\r\n", 16, 60), b"ms k 3 F16 T60 O5\r\nv\r\n\r\n"),
        (Store(b"k", 3, b""), b"ms \xff3;k 0 F0 T0 O5\r\n\r\n"),
        (Store(b"k", 0, b"v", add=True), b"ms k 1 F0 T0 O5 ME\r\nv\r\n"),
        (Store(b"k", 0, b"v", token=TOKEN), b"ms k 1 F0 T0 O5 C99\r\nv\r\n"),
        (Remove(b"k", 3), b"md \xff3;k O5\r\n"),
        (Remove(b"k", 0, TOKEN), b"md k O5 C99\r\n"),
        (Touch(b"k", 0, 60), b"mg k T60 O5\r\n"),
        (Arithmetic(b"k", 0, 7), b"ma k D7 v O5\r\n"),
        (Arithmetic(b"k", 0, -1), b"ma k D18446744073709551615 v O5\r\n"),
        (Flush(), b"flush_all\r\n"),
    ],
)
def test_commands(command, line):
    """Each command has one form on the wire."""
    assert encode([command], 5, NOW) == line


# Timeouts


@pytest.mark.parametrize(
    ("seconds", "ttl"),
    [
        (None, 0),
        (0.001, 1),
        (1, 1),
        (1.0, 1),
        (1.001, 2),
        (MONTH, MONTH),
        (MONTH - 0.5, MONTH),
        (MONTH + 0.5, int(NOW) + MONTH + 1),
        (MONTH + 1, int(NOW) + MONTH + 1),
        (2**31 - 2 - int(NOW), 2**31 - 2),
        (2**31 - 1 - int(NOW), 2**31 - 1),
        (2**31 - 1.5 - int(NOW), 2**31 - 1),
        (2**31 - 0.5 - int(NOW), 0),
        (2**31 - int(NOW), 0),
        (10**10, 0),
        pytest.param(10**400, 0, id="10**400"),
        (math.inf, 0),
        (math.nan, 0),
    ],
)
def test_exptime(seconds, ttl):
    """A timeout is rounded up, is absolute above 30 days, and means for ever past 2038."""
    assert exptime(seconds, NOW) == ttl


@given(st.floats(min_value=0, exclude_min=True), st.floats(0, 2**31 - 1))
def test_exptime_never_expires_early(seconds, now):
    """An item never goes before its time, and stays at most a second longer unless it stays for ever."""
    ttl = exptime(seconds, now)
    assert isinstance(ttl, int) and 0 <= ttl < 2**31
    if 0 < ttl <= MONTH:
        assert seconds <= ttl <= seconds + 1
    elif ttl:
        assert now + seconds <= ttl <= now + seconds + 1
