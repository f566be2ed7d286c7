"""A TLS stream on a plain socket, which stays as it is: what the short cut does with one it does with the other.

The standard library's own makes the socket non-blocking, and asks the kernel three times for one reply. Here OpenSSL
has its bytes from memory (`ssl.MemoryBIO`), and one question and its answer are two system calls, as without TLS.
"""

import select
import ssl
from socket import MSG_DONTWAIT, MSG_WAITALL, SO_RCVTIMEO, SOL_SOCKET, socket
from struct import unpack
from time import monotonic
from typing import Any

RECORD_BYTES = 16 * 1024
"""The most that TLS puts in one record."""
CHUNK_BYTES = RECORD_BYTES + 4096
PART_BYTES = 16 * RECORD_BYTES
"""What is encrypted, or read, at once."""


class TlsStream:
    """Sends and receives as the socket it wraps does, but that `recv` returns all there is, also beyond `size`.

    After a `send` that did not take everything the next one must be of what was left: it is encrypted already.
    """

    def __init__(self, plain: socket, context: ssl.SSLContext, host: str):
        self.plain = plain
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._unsent = b""
        self._covered = 0
        """How many bytes of what is to be sent are in `_unsent`."""

    def __getattr__(self, name: str) -> Any:
        """`fileno`, `close`, `setsockopt`, …: they are the socket's."""
        return getattr(self.plain, name)

    def shake_hands(self, until: float) -> None:
        """Within the time (monotonic). The socket must not block. Raises OSError."""
        poller = select.poll()
        poller.register(self.plain, select.POLLIN)
        while True:
            try:
                self._tls.do_handshake()
                finished = True
            except ssl.SSLWantReadError:
                finished = False
            finally:
                if data := self._outgoing.read():
                    self.plain.send(data)  # Far below what an empty buffer takes.
            if finished:
                return
            if not poller.poll(max(0.0, until - monotonic()) * 1000):
                raise TimeoutError("no answer to the TLS handshake")
            if not (data := self.plain.recv(CHUNK_BYTES)):
                raise ConnectionResetError("closed in the TLS handshake")
            self._incoming.write(data)

    def send(self, data: bytes | memoryview, flags: int = 0) -> int:
        """How many bytes were taken. Raises OSError if none were."""
        taken = 0
        while True:
            if not self._unsent:
                if taken == len(data):
                    return taken
                self._covered = self._encrypt(data, taken)
                self._unsent = self._outgoing.read()
            try:
                sent = self.plain.send(self._unsent, flags)
            except BlockingIOError:
                if not taken:
                    raise
                return taken
            if sent < len(self._unsent):
                self._unsent = self._unsent[sent:]
                return taken
            self._unsent = b""
            taken += self._covered

    def _encrypt(self, data: bytes | memoryview, start: int) -> int:
        """The next part of `data`; how many bytes that is."""
        if len(data) <= RECORD_BYTES:
            return self._tls.write(data)
        part = memoryview(data)[start : start + PART_BYTES]
        if start + len(part) == len(data):
            # The last byte has a record of its own. memcached reads a large value to its end, leaves what follows in
            # OpenSSL's buffer, and looks there only when the socket has more.
            self._tls.write(part[:-1])
            self._tls.write(part[-1:])
        else:
            self._tls.write(part)
        return len(part)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """What has come, which may be more than `size` bytes; with MSG_WAITALL as many, or what came in time. Raises
        OSError, as SSLWantReadError where not even one record is complete."""
        everything, flags = flags & MSG_WAITALL, flags & ~MSG_WAITALL
        data = b""
        try:
            data = self._read(CHUNK_BYTES, flags)
        except ssl.SSLWantReadError:
            if flags & MSG_DONTWAIT:
                raise
        else:
            if not everything or not 0 < len(data) < size:
                return data
        return self._collect(data, size if everything else 1)

    def _collect(self, data: bytes, size: int) -> bytes:
        """`data` and what follows it, up to `size` bytes. All of it has the time that the kernel gives one reading."""
        seconds, microseconds = unpack("ll", self.plain.getsockopt(SOL_SOCKET, SO_RCVTIMEO, 16))
        until = monotonic() + seconds + microseconds / 1_000_000
        parts, missing = [data], size - len(data)
        while missing > 0 and monotonic() < until:
            try:
                part = self._read(max(CHUNK_BYTES, min(missing, PART_BYTES)), 0)
            except ssl.SSLWantReadError:
                continue
            except BlockingIOError:
                break
            if not part:
                break
            parts.append(part)
            missing -= len(part)
        if len(parts) == 1 and not data:
            raise ssl.SSLWantReadError
        return b"".join(parts)

    def _read(self, size: int, flags: int) -> bytes:
        chunk = self.plain.recv(size, flags)
        if not chunk:
            return b""
        self._incoming.write(chunk)
        data = self._tls.read(size)
        while self._incoming.pending or self._tls.pending():
            try:
                data += self._tls.read(size)
            except ssl.SSLWantReadError:
                break
        return data
