"""One real Apache Ignite server on loopback."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree

from ..engines.ignite.frames import Operation, cache_id, plain
from ..engines.ignite.introspection import PAGE_ITEMS
from ..engines.ignite.scan import Page, first_page, next_page
from .addresses import HeldPort
from .ignite_server import STARTUP, command_line, dialogue, ready
from .process import ServerProcess

_CLEAR = 1013
PAUSE = 0.05  # seconds between two looks


class LocalIgnite(ServerProcess):
    """One Ignite server, a cluster of its own: in memory only, unless it wants a login.

        with LocalIgnite() as node:
            cache = DistributedCache([node.address], {})

    memory: MB; what is used least is evicted beyond. cache: the name of the cache in `address`. login: it wants one,
    and `ignite`, `ignite` is one; for that Ignite keeps its data on disk. Raises NoIgnite where it is not installed.
    """

    def __init__(self, *, memory: int = 128, cache: str = "dcache", login: bool = False, host: str = "127.0.0.1"):
        self._memory, self._cache, self._login = memory, cache, login
        self._peers = HeldPort(host)
        super().__init__(host)
        self._place.callback(self._peers.close)

    def _command_line(self) -> Sequence[str]:
        own = tempfile.mkdtemp(prefix="dcache-")
        self._place.callback(rmtree, own, ignore_errors=True)
        user = "ignite:ignite@" if self._login else ""
        self.address = f"ignite://{user}{self.endpoint}/{self._cache}"
        return command_line(Path(own), (self._port, self._peers.number), self._memory, self._cache, self._login)

    def await_ready(self, deadline: float = STARTUP) -> None:
        """Returns when it lets clients in, and has the cache."""
        until = time.monotonic() + deadline
        while not ready(self.endpoint, self._cache, self._login):
            if not self.running or time.monotonic() > until:
                self.kill()
                raise RuntimeError(f"Ignite did not start: {self._last_words()[-2000:]}")
            time.sleep(PAUSE)

    def items(self) -> dict[bytes, bytes]:
        """All items: wire key → what is stored, as engines/ignite/items.py says."""
        found: dict[bytes, bytes] = {}
        step, page = (Operation.SCAN, first_page(cache_id(self._cache), PAGE_ITEMS)), None
        with dialogue(self.endpoint, self._login) as say:
            while page is None or page.more:
                page = Page.read(say(*step), page and page.cursor)
                found |= dict(page.items)
                step = Operation.NEXT_PAGE, next_page(page.cursor)
        return found

    def clear(self) -> None:
        """Everything in its cache is gone: starting it again would take seconds."""
        with dialogue(self.endpoint, self._login) as say:
            say(_CLEAR, plain(cache_id(self._cache)))
