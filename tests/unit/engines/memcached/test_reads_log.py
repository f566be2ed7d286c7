"""The log of lookups that memcached writes to those who watch it."""

import pytest

from dcache_manager.inspection.hot_reads import MAX_KEYS, NodeReads
from django_dcache.engines.inspection import NotListed
from django_dcache.engines.memcached.reads_log import MAX_LINE_BYTES, ReadsLog
from django_dcache.errors import ProtocolViolation

LINES = (
    b"OK\r\n"
    b"ts=1.2 gid=1 type=item_get key=%FF3%3Bk%3A1 status=found clsid=1 cfd=11 size=3\n"
    b"ts=1.3 gid=2 type=item_store key=other status=stored cmd=set ttl=0 clsid=1 cfd=11 size=1\n"
    b"[skipped: 7]\n"
    b"ts=1.4 gid=3 type=item_get key=plain status=not_found clsid=0 cfd=11 size=0\n"
)


def test_keys_however_they_are_cut():
    """The keys of lookups come out whole, wherever the bytes are cut; other lines are left out."""
    for cut in range(1, len(LINES)):
        log = ReadsLog()
        assert log.feed(LINES[:cut]) + log.feed(LINES[cut:]) == [b"\xff3;k:1", b"plain"]


@pytest.mark.parametrize("answer", [b"ERROR\r\n", b"CLIENT_ERROR no \x1b[2J\r\n"])
def test_a_node_that_refuses(answer):
    """A node that may not be watched says so, in printable words."""
    with pytest.raises(NotListed, match=r"ERROR") as told:
        ReadsLog().feed(answer)
    assert str(told.value).isprintable()


def test_a_line_without_an_end():
    """What is no line is not collected for ever."""
    log = ReadsLog()
    with pytest.raises(ProtocolViolation):
        for _ in range(3):
            log.feed(b"x" * MAX_LINE_BYTES)


def test_what_is_counted():
    """A key is counted by its name without generation; the fleet's own, chunks and foreign bytes are not; and there are
    no more keys than are wanted."""
    reads = NodeReads()
    reads.add([b"\xff3;k", b"k", b"_dc:default", b"\xff\xfe", b"a b"])
    assert dict(reads.keys) == {b"k": 2} and reads.reads == 2
    reads.add(b"key%d" % number for number in range(MAX_KEYS + 5))
    assert len(reads.keys) == MAX_KEYS and reads.reads == MAX_KEYS + 7
