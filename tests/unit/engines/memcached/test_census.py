"""A listing of a node's keys: whether anything is there that is not one fleet's."""

import pytest

from django_dcache.engines.memcached.census import Census
from django_dcache.errors import ProtocolViolation

OURS = [
    b"shop%3A1%3Akey",
    b"%3A1%3Akey",
    b"%FF7%3Bshop%3A1%3Akey",
    b"%FF~3%3Bshop%3A1%3Akey",
    b"%FF12%3B%FF~3%3Bshop%3A2%3Akey",
    b"%FF%23" + 96 * b"0",
    b"_dc%3Af%3Astate",
]
OTHERS = [
    *(b"blog%3A1%3Akey", b"shop", b"key", b"memc.sess.key.abc", b"_dc%3Ag%3Astate", b"_dc%3Aff%3Astate"),
    *(b"%FF7%3Bblog%3A1%3Akey", b"%FFshop%3A1%3Akey"),
]


def line(key):
    return b"key=%b exp=-1 la=1 cas=2 fetch=no cls=1 size=63\n" % key


def fed(census, data, size):
    """Whether the census is complete, from chunks of that size."""
    return [census.feed(data[at : at + size]) for at in range(0, len(data), size)][-1]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_node_of_our_own(size):
    """A listing of our own keys, of all kinds, is complete at its end, however its chunks are cut."""
    assert fed(Census("f", ["shop:", ":"]), b"".join(map(line, OURS)) + b"END\r\n", size)
    assert not fed(Census("f", ["shop:", ":"]), b"".join(map(line, OURS)), size)
    assert fed(Census("f", ["shop:"]), b"END\r\n", size)


@pytest.mark.parametrize("key", OTHERS)
@pytest.mark.parametrize("size", [1, 1000])
def test_a_neighbour(key, size):
    """One key of another's ends it, with that key, wherever it stands."""
    for lines in ([key, *OURS], [*OURS, key], [OURS[0], key, OURS[0]]):
        with pytest.raises(ProtocolViolation, match="key=" + key.decode()):
            fed(Census("f", ["shop:", ":"]), b"".join(map(line, lines)) + b"END\r\n", size)


@pytest.mark.parametrize("said", [b"BUSY\r\n", b"ERROR\r\n", b"CLIENT_ERROR lru crawler disabled\r\n"])
def test_a_node_that_does_not_list(said):
    """A node that refuses to list its keys may hold anything."""
    with pytest.raises(ProtocolViolation, match=said[:4].decode()):
        Census("f", ["shop:"]).feed(said)
