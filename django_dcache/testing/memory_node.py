"""A node in the memory of this process: no server is started, and nothing takes time."""

from itertools import count
from typing import Any, Self

from ..engines.memory.store import store_of

_numbers = count(1)


class LocalMemory:
    """A node that is a dict. Its items are this process's own.

    with LocalMemory() as node:
        cache = DistributedCache([node.address], {})
    """

    def __init__(self, **options: Any):
        self.name = f"memory-{next(_numbers)}"
        self.address = f"memory://{self.name}"
        self._store = store_of(self.name)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def running(self) -> bool:
        return self._store.running

    def start(self) -> Self:
        self._store.running = True
        return self

    launch = start

    def await_ready(self, deadline: float = 0.0) -> None:
        """It always is."""

    def kill(self) -> None:
        """Ended, with all that is in it."""
        self._store.running = False
        self._store.items.clear()

    stop = close = kill

    def restart(self) -> None:
        """Killed, and started again with nothing in it."""
        self.kill()
        self.start()

    def items(self) -> dict[tuple[bytes, int], Any]:
        """All items, by name and generation."""
        return dict(self._store.items)
