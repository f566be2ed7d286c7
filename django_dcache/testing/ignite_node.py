"""One real Apache Ignite server on loopback."""

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from shutil import rmtree
from typing import Any

from ..engines.ignite.frames import Operation, cache_id, plain
from ..engines.ignite.introspection import PAGE_ITEMS
from ..engines.ignite.scan import Page, first_page, next_page
from .addresses import HeldPort
from .ignite_server import STARTUP, Terms, command_line, dialogue, ready
from .process import ServerProcess

_CLEAR = 1013
PAUSE = 0.05  # seconds between two looks


class LocalIgnite(ServerProcess):
    """One Ignite server, a cluster of its own in memory unless told otherwise.

        with LocalIgnite() as node:
            cache = DistributedCache([node.address], {})

    memory: MB; what is used least is evicted beyond. cache: the name of the cache in `address`. discovery: see
    `cluster`. The rest, as `disk=True`, is explained at `ignite_server.Terms`.

    Raises NoIgnite where it is not installed.
    """

    @classmethod
    def cluster(cls, count: int, **options: Any) -> "list[LocalIgnite]":
        """The servers of one cluster, to be started one after the other."""
        ports = [HeldPort() for _ in range(count)]
        return [cls(discovery=[*ports[number:], *ports[:number]], **options) for number in range(count)]

    def __init__(
        self,
        *,
        memory: int = 128,
        cache: str = "dcache",
        discovery: Sequence[HeldPort] = (),
        host: str = "127.0.0.1",
        **terms: Any,
    ):
        self._peers = HeldPort(host)
        numbers = tuple(port.number for port in discovery)
        self._given = {"memory": memory, "cache": cache, "discovery": numbers, **terms}
        super().__init__(host)
        for port in (self._peers, *discovery[:1]):
            self._place.callback(port.close)

    def _command_line(self) -> Sequence[str]:
        own = tempfile.mkdtemp(prefix="dcache-")
        self._place.callback(rmtree, own, ignore_errors=True)
        self._terms = Terms(Path(own), self._port, self._peers.number, **self._given)
        scheme, user = "ignites" if self._terms.keystore else "ignite", "ignite:ignite@" if self._terms.login else ""
        self.address = f"{scheme}://{user}{self.endpoint}/{self._terms.cache}"
        return command_line(self._terms)

    def await_ready(self, deadline: float = STARTUP) -> None:
        """Returns when it lets clients in, and has the cache."""
        until = time.monotonic() + deadline
        while not ready(self._terms):
            if not self.running or time.monotonic() > until:
                self.kill()
                raise RuntimeError(f"Ignite did not start: {self._last_words()[-2000:]}")
            time.sleep(PAUSE)

    def items(self) -> dict[bytes, bytes]:
        """All items: wire key → what is stored, as engines/ignite/items.py says."""
        found: dict[bytes, bytes] = {}
        step, page = (Operation.SCAN, first_page(cache_id(self._terms.cache), PAGE_ITEMS)), None
        with self._dialogue() as say:
            while page is None or page.more:
                page = Page.read(say(*step), page and page.cursor)
                found |= dict(page.items)
                step = Operation.NEXT_PAGE, next_page(page.cursor)
        return found

    def clear(self) -> None:
        """Everything in its cache is gone: starting it again would take seconds."""
        with self._dialogue() as say:
            say(_CLEAR, plain(cache_id(self._terms.cache)))

    def _dialogue(self) -> AbstractContextManager[Callable[[int, bytes], bytes]]:
        return dialogue(self.endpoint, self._terms.login, self._terms.keystore is not None)
