"""What every process did and what it got: a file of fixed-size records per process, which survives its sudden death."""

import mmap
from collections.abc import Iterable, Iterator
from enum import IntEnum
from io import BytesIO
from itertools import chain
from pathlib import Path
from struct import Struct
from typing import Any, NamedTuple

_record = Struct("<BBHIQddII")
GROWTH = 65536 * _record.size


class Kind(IntEnum):
    NOTHING, READ, WRITE, REMOVE, COUNT, LEARN, TRY, STALL = range(8)
    # READ: version, 0 for a miss. WRITE: a set or add of this version. REMOVE: a delete, which is a version too.
    # COUNT: the number handed out, 0 for none. LEARN: the process took over another fleet state; its bumps.
    # TRY: a call that says nothing of any one key's value. STALL: the process should have run from `began` to `ended`.


WRITES = (Kind.WRITE, Kind.REMOVE)


class Outcome(IntEnum):
    NONE, OK, FAIL, UNKNOWN, RAISED, FOREIGN, CORRUPT, FUTURE, UNPROVEN = range(9)
    # FAIL: it did not happen, and won't. UNKNOWN: it may have, or may yet. RAISED: an exception that is not documented.
    # UNPROVEN: read by a process that knows that it can't promise anything, and is allowed to (on_unproven="serve").
    # Of what was read: the value of another key; none that was ever stored whole; one that no worker has written yet.


class Record(NamedTuple):
    kind: int
    outcome: int
    writer: int
    key: int
    """Family in the upper four bits (truth.py)."""
    version: int
    began: float
    """CLOCK_MONOTONIC, the same in all processes of a machine."""
    ended: float
    loading: int
    """Microseconds of it spent in the application's own loader, or without a core, on a machine that is busy."""
    epoch: int


class Recorder:
    """Appends records to a file that is mapped into memory: a killed process leaves all that it recorded."""

    def __init__(self, path: Path):
        self._file = path.open("x+b")
        self._size = self._next = 0
        self._grow()

    def add(self, *fields: int | float) -> None:
        if self._next == self._size:
            self._grow()
        _record.pack_into(self._map, self._next, *fields)
        self._next += _record.size

    def close(self) -> None:
        self._map.close()
        self._file.close()

    def _grow(self) -> None:
        self._size += GROWTH
        self._file.truncate(self._size)
        self._map = mmap.mmap(self._file.fileno(), self._size)


def read(path: Path) -> Iterator[tuple[Any, ...]]:
    """The records of one file, as plain tuples in the order of Record's fields."""
    with path.open("rb") if path.exists() else BytesIO() as file:
        while chunk := file.read(8192 * _record.size):
            for fields in _record.iter_unpack(chunk):
                if not fields[0]:
                    return
                yield fields


def read_all(paths: Iterable[Path]) -> Iterator[tuple[Any, ...]]:
    return chain.from_iterable(map(read, paths))


def write(path: Path, records: Iterable[tuple[Any, ...]]) -> None:
    """A history made up for a test."""
    with path.open("wb") as file:
        for fields in records:
            file.write(_record.pack(*fields))
