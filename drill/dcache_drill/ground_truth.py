"""What was ever written, in memory that all processes share: the last version of each key, known before it is sent."""

import fcntl
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from hashlib import md5
from pathlib import Path

from .plan import PREFIX

FAMILY_SHIFT = 28


class Family(IntEnum):
    """Kinds of keys, by how they are written."""

    REGISTER = 0
    """Set, added and deleted by every worker: a write comes after those that had ended before it began."""
    ROW = 1
    """Committed to a database, then deleted from the cache, then loaded: versions are ordered by their commit."""
    COUNTER = 2
    """Counted up; decremented if its number is odd."""
    SESSION = 3
    """Logged in, saved, logged out."""
    TAGGED = 4
    """Rows that are cached with a tag, some with each: a change of them is committed, then their tag is invalidated."""


SIZES = {Family.REGISTER: 400, Family.ROW: 300, Family.COUNTER: 40, Family.SESSION: 100, Family.TAGGED: 180}
_offsets = {family: sum(size for other, size in SIZES.items() if other < family) for family in SIZES}
_total = sum(SIZES.values())
SESSIONS, STOP, INSTRUCTIONS = _total, _total + 1, _total + 2
"""Cells that are no keys: how many sessions ever began, whether to stop, and an instruction to each worker."""
MAX_WORKERS = 256
ROWS_OF_A_TAG = 3


class Instruction(IntEnum):
    """What a worker may be told through its cell."""

    NONE, FORK, RAW_FORK, INTERRUPT, INTERRUPT_NO_MORE = range(5)


CELLS = INSTRUCTIONS + MAX_WORKERS


def key_number(family: int, number: int) -> int:
    return family << FAMILY_SHIFT | number


def key_name(key: int) -> str:
    """What Django is given as the key."""
    return f"{Family(key >> FAMILY_SHIFT).name.lower()}-{_number(key)}"


def _number(key: int) -> int:
    """Which one it is of its family."""
    return key & ((1 << FAMILY_SHIFT) - 1)


def tag_of(key: int) -> str:
    """The tag of a row that has one."""
    return f"tag-{_number(key) // ROWS_OF_A_TAG}"


def rows_of_its_tag(key: int) -> range:
    """The key, and the others that have its tag."""
    first = key - _number(key) % ROWS_OF_A_TAG
    return range(first, first + ROWS_OF_A_TAG)


def own_names(truth: "GroundTruth") -> Iterator[bytes]:
    """Every name that a drill may have stored."""
    for family, size in SIZES.items():
        if family is not Family.SESSION:
            for number in range(size):
                yield f"{PREFIX}:1:{key_name(key_number(family, number))}".encode()
    for number in range(0, SIZES[Family.TAGGED], ROWS_OF_A_TAG):
        yield f"{PREFIX}:tag:{tag_of(key_number(Family.TAGGED, number))}".encode()
    for number in range(1, truth.cells[SESSIONS] + 1):
        yield f"{PREFIX}:1:django.contrib.sessions.cache{session_key(number)}".encode()


def session_key(number: int) -> str:
    return md5(b"session %d" % number, usedforsecurity=False).hexdigest()


class GroundTruth:
    """Numbers of 64 bits in a shared file. `issue` is atomic among all processes; a killed process holds no lock."""

    def __init__(self, path: Path):
        self._file = path.open("r+b" if path.exists() else "w+b")
        self._file.truncate(CELLS * 8)
        self._map = mmap.mmap(self._file.fileno(), CELLS * 8)
        self.cells = memoryview(self._map).cast("Q")

    def close(self) -> None:
        self.cells.release()
        self._map.close()
        self._file.close()

    @contextmanager
    def locked(self, cell: int) -> Iterator[None]:
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, cell)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, cell)

    def issue(self, cell: int) -> int:
        """The next version."""
        with self.locked(cell):
            self.cells[cell] += 1
            return self.cells[cell]

    @staticmethod
    def cell(family: int, number: int) -> int:
        """Rows of one tag have one cell: they change at once."""
        number -= number % ROWS_OF_A_TAG if family == Family.TAGGED else 0
        return _offsets[Family(family)] + number
