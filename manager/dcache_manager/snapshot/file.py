"""A snapshot as a file: written under another name until it is whole, and read only as a whole that was verified."""

import fcntl
import os
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

from django_dcache.errors import Conflict

from ..errors import NotPossible
from .format import (
    DIGEST_BYTES,
    FOOTER,
    FRAME,
    MAX_FRAME_BYTES,
    MAX_ITEMS,
    PREAMBLE,
    BadSnapshot,
    ChangedSnapshot,
    Header,
    Records,
    decode_frame,
    encode_frame,
    header_bytes,
)

FRAME_ITEMS, FRAME_BYTES = 4096, 2**20
"""A frame is closed when it holds so much."""


class Contents(NamedTuple):
    """What a whole and sound snapshot holds."""

    frames: int
    items: int
    digest: str


class Writer:
    """Writes FILE.part; when the block ends without an error, that is the FILE. Entering raises Conflict while another
    process writes it, and NotPossible where no file can be written."""

    def __init__(self, path: Path, header: Header):
        self.items = self.frames = self.bytes = 0
        self.path, self._header = path, header
        self._part = path.with_name(f"{path.name}.part")
        self._digest = blake2b(digest_size=DIGEST_BYTES)
        self._names: list[bytes] = []
        self._flags: list[int] = []
        self._deadlines: list[int] = []
        self._data: list[bytes] = []
        self._size = 0

    def __enter__(self) -> Self:
        try:
            self._file = open(_opened_alone(self._part), "wb")
        except OSError as error:
            raise NotPossible(f"{self._part} can't be written: {error.strerror}") from error
        self._write(self._header.encode())
        return self

    def add(self, name: bytes, flags: int, deadline: int, data: bytes) -> None:
        self._names.append(name)
        self._flags.append(flags)
        self._deadlines.append(deadline)
        self._data.append(data)
        self._size += len(data)
        if len(self._names) >= FRAME_ITEMS or self._size >= FRAME_BYTES:
            self._close_frame()

    def __exit__(self, kind: object, error: BaseException | None, traceback: TracebackType | None) -> None:
        with self._file:  # It is closed last, and the lock goes with it: FILE.part is ours until then.
            if error is None:
                self._close_frame()
                self._write(FOOTER.pack(b"E", self.frames, self.items))
                self._file.write(self._digest.digest())
                self._file.flush()
                os.fsync(self._file.fileno())
                self._part.replace(self.path)
            else:
                self._part.unlink()

    def _close_frame(self) -> None:
        if self._names:
            self._write(encode_frame(Records(self._names, self._flags, self._deadlines, self._data)))
            self.frames += 1
            self.items += len(self._names)
        self._names, self._flags, self._deadlines, self._data, self._size = [], [], [], [], 0

    def _write(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)
        self.bytes += len(data)


def _opened_alone(path: Path) -> int:
    """A new file that no other user may read (a cache holds sessions), locked until it is closed.

    What a writer left that was killed makes way. Raises Conflict while another writer lives.
    """
    while True:
        try:
            handle, new = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), True
        except FileExistsError:
            try:
                handle, new = os.open(path, os.O_WRONLY | os.O_NOFOLLOW), False
            except FileNotFoundError:
                continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise Conflict(f"another dump is writing {path}; let it end, or name another file") from None
        # Between opening and locking another writer may have removed it, or put it in its place.
        ours = path.exists() and os.path.samestat(os.fstat(handle), path.stat())
        if ours and new:
            return handle
        if ours:
            path.unlink()
        os.close(handle)


class Reader:
    """An open snapshot. `verify` comes first: frames are given out only of one that is whole."""

    def __init__(self, file: BinaryIO):
        """Raises BadSnapshot."""
        self._file = file
        self._header = file.read(PREAMBLE.size)
        self._header += file.read(header_bytes(self._header))
        self.header = Header.decode(self._header[PREAMBLE.size :])
        self.size = os.fstat(file.fileno()).st_size
        self._frames = 0

    def verify(self, tick: Callable[[int], None] = lambda position: None) -> Contents:
        """Read all of it. `tick` hears how many bytes were read. Raises BadSnapshot."""
        digest = blake2b(self._header, digest_size=DIGEST_BYTES)
        self._file.seek(len(self._header))
        frames = items = 0
        while (kind := self._take(1)) == b"F":
            head = kind + self._take(FRAME.size - 1)
            packed = self._packed(head)
            items += len(_decode(head, packed).names)
            frames += 1
            digest.update(head)
            digest.update(packed)
            tick(self._file.tell())
        if kind != b"E":
            raise BadSnapshot("it was altered or damaged")
        foot = kind + self._take(FOOTER.size - 1)
        digest.update(foot)
        if FOOTER.unpack(foot) != (b"E", frames, items) or self._take(DIGEST_BYTES) != digest.digest():
            raise BadSnapshot("its digest is wrong: it was altered or damaged")
        if self._file.read(1):
            raise BadSnapshot("bytes follow its end")
        self._frames = frames
        return Contents(frames, items, digest.hexdigest())

    def frames(self, wanted: Callable[[int], bool] = lambda number: True) -> Iterator[tuple[int, Records]]:
        """The number and the items of each frame that is `wanted`. Raises ChangedSnapshot."""
        self._file.seek(len(self._header))
        try:
            for number in range(self._frames):
                head = self._take(FRAME.size)
                packed = self._packed(head)
                if wanted(number):
                    yield number, _decode(head, packed)
        except BadSnapshot as error:
            raise ChangedSnapshot from error

    def _packed(self, head: bytes) -> bytes:
        _, count, size, length, _ = FRAME.unpack(head)
        # zlib makes nothing longer by more than a thousandth.
        if not 0 < count <= MAX_ITEMS or size > MAX_FRAME_BYTES or length > size + size // 1000 + 64:
            raise BadSnapshot("a frame is larger than it may be")
        return self._take(length)

    def _take(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) != size:
            raise BadSnapshot("it was truncated")
        return data


def _decode(head: bytes, packed: bytes) -> Records:
    _, count, size, _, checksum = FRAME.unpack(head)
    return decode_frame(count, size, packed, checksum)
