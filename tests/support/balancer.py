"""One address in front of several servers."""

from collections.abc import Sequence

from django_dcache.testing import FaultProxy
from django_dcache.testing.connection import Side


class Balancer(FaultProxy):
    """Each new connection leads to the next of the `targets`, which may be set."""

    def __init__(self, *targets: str):
        super().__init__(targets[0])
        self.targets: Sequence[str] = targets
        self._turn = 0

    async def _reach(self) -> Side | None:
        self.target = self.targets[self._turn % len(self.targets)]
        self._turn += 1
        return await super()._reach()
