"""When nodes were ill in fact: a thread asks each of them again and again, over a network like those of the workers."""

import socket
import threading
import time
from collections.abc import Iterable

from django_dcache.testing import dial

PAUSE_SECONDS = 0.05
SLOW_SECONDS = 0.05
"""An answer that takes longer says that the node, or this machine, had no time."""
PATIENCE_SECONDS = 1.0


class NodeMonitor(threading.Thread):
    """`ill`: (began, ended), monotonic, of each question that got no answer in time."""

    def __init__(self, addresses: Iterable[str]):
        super().__init__(daemon=True)
        self.ill: list[tuple[float, float]] = []
        self._streams: dict[str, socket.socket | None] = dict.fromkeys(addresses)
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(PAUSE_SECONDS):
            for address in self._streams:
                began = time.monotonic()
                if not self._answers(address) or time.monotonic() - began > SLOW_SECONDS:
                    self.ill.append((began, time.monotonic()))

    def close(self) -> None:
        self._over.set()
        self.join()
        for stream in self._streams.values():
            if stream:
                stream.close()

    def _answers(self, address: str) -> bool:
        stream = self._streams[address]
        try:
            if stream is None:
                stream = self._streams[address] = dial(address, PATIENCE_SECONDS)
            stream.sendall(b"mn\r\n")
            answered = stream.recv(64) == b"MN\r\n"
        except OSError:
            answered = False
        if not answered and stream:
            stream.close()
            self._streams[address] = None
        return answered
