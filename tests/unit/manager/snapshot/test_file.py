"""The file that a snapshot is written to: one writer at a time, and new."""

import os

import pytest

from dcache_manager.errors import NotPossible
from dcache_manager.snapshot.file import Reader, Writer
from dcache_manager.snapshot.format import Header
from django_dcache.errors import Conflict

HEADER = Header("shop", "default", 1_700_000_000.0)


def names(path):
    with path.open("rb") as file:
        reader = Reader(file)
        reader.verify()
        return [name for _, records in reader.frames() for name in records.names]


def test_two_dumps_to_one_file(tmp_path):
    """A second dump to the same file is refused while the first one writes, which ends as if it were alone."""
    path = tmp_path / "hot"
    with Writer(path, HEADER) as first:
        first.add(b"a", 0, 0, b"1")
        with pytest.raises(Conflict, match="another dump is writing"), Writer(path, HEADER):
            pass
        first.add(b"b", 0, 0, b"2")
    assert names(path) == [b"a", b"b"] and os.listdir(tmp_path) == ["hot"]
    with Writer(path, HEADER) as again:
        again.add(b"c", 0, 0, b"3")
    assert names(path) == [b"c"]


def test_what_a_killed_dump_left(tmp_path):
    """What a dump left that was killed makes way for the next one, whose file is new: its owner alone may read it."""
    path, left = tmp_path / "hot", tmp_path / "hot.part"
    left.write_bytes(b"torn")
    left.chmod(0o644)
    with left.open("rb") as reader, Writer(path, HEADER) as writer:
        writer.add(b"a", 0, 0, b"1")
        assert left.stat().st_mode & 0o777 == 0o600 and reader.read() == b"torn"
    assert names(path) == [b"a"]


def test_a_link_is_not_followed(tmp_path):
    """Where FILE.part is a link, nothing is written through it."""
    other = tmp_path / "other"
    other.write_bytes(b"precious")
    (tmp_path / "hot.part").symlink_to(other)
    with pytest.raises(NotPossible, match="symbolic link"), Writer(tmp_path / "hot", HEADER):
        pass
    assert other.read_bytes() == b"precious"
