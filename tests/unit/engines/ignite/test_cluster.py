"""What servers say of their cluster."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_dcache.engines.ignite.cluster import lags, server_ids
from django_dcache.errors import ProtocolViolation

BEFORE_NAME = b"\x01e\x01\x00e" + bytes(8) + b"\xf4\x01\x00\x00\x00\x04\x00\x00\x09\x06\x00\x00\x00dcache"
AFTER_NAME = (
    b"\x00\x04\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x08\x00\x03" + bytes(15) + b"\x01"
    b"\x00\x00\x00" + bytes(12) + b"\x10'" + bytes(6) + b"\x00\xff\xff\xff\xffe"
)
REPLICATED, PARTITIONED = 1, 2
FULL_SYNC, FULL_ASYNC, PRIMARY_SYNC = 0, 1, 2


def configuration(backups, mode, synchronization):
    """As a server of 2.17 describes a cache."""
    numbers = b"".join(number.to_bytes(4, "little") for number in (1, backups, mode))
    text = numbers + BEFORE_NAME + AFTER_NAME + synchronization.to_bytes(4, "little") + bytes(8)
    return len(text).to_bytes(4, "little") + text


@pytest.mark.parametrize(
    ("backups", "mode", "synchronization", "lagging"),
    [
        (0, PARTITIONED, PRIMARY_SYNC, False),
        (1, PARTITIONED, PRIMARY_SYNC, True),
        (1, PARTITIONED, FULL_ASYNC, True),
        (1, PARTITIONED, FULL_SYNC, False),
        (0, REPLICATED, PRIMARY_SYNC, True),
        (0, REPLICATED, FULL_SYNC, False),
    ],
)
def test_lagging_copies(backups, mode, synchronization, lagging):
    """Copies lag where there are any and a write does not wait for all of them."""
    assert lags(configuration(backups, mode, synchronization)) is lagging


def test_servers():
    """Each server is known by its node id."""
    ids = [bytes([number]) * 16 for number in (1, 2)]
    head = b"\x01" + bytes(8)
    assert server_ids(head + b"\x02\x00\x00\x00" + b"".join(ids)) == {found.hex() for found in ids}
    for wrong in (b"", b"\x00", head + b"\x03\x00\x00\x00" + ids[0], head + b"\xff\xff\xff\xff"):
        with pytest.raises(ProtocolViolation):
            server_ids(wrong)


@given(st.binary(max_size=200))
def test_noise(noise):
    """Whatever bytes come, they are a description, or a violation."""
    for read in (lags, server_ids):
        try:
            read(noise)
        except ProtocolViolation:
            pass
