"""A cache on which threads, processes and greenlets do everything at once."""

import gc

from django_dcache.backend import DistributedCache
from support.waiting import until

PATIENT = {"timeout": 10.0, "connect_timeout": 10.0}
"""On a busy machine nothing fails for want of time."""
MISS = "a miss"


class Site:
    """A cache on three nodes, and what there is to know of its connections."""

    def __init__(self, nodes, **options):
        self.nodes = nodes
        # The fewest: a node may not have seen yet that the one who looked whether it is up has gone.
        self.before = [min(self._connections(node) for _ in range(50)) for node in nodes]
        self.cache = DistributedCache([node.address for node in nodes], {"OPTIONS": PATIENT | options})
        self.pools = self.cache.fleet.transport.pools

    @staticmethod
    def _connections(node):
        return int(node.stats()["curr_connections"])

    @property
    def idle(self):
        return [len(pool.idle) for pool in self.pools().values()]

    @property
    def open(self):
        """How many connections of ours each node holds."""
        gc.collect()
        return [self._connections(node) - before for node, before in zip(self.nodes, self.before, strict=True)]

    def assert_nothing_leaked(self):
        until(lambda: self.open == self.idle, 10)
        found, idle = self.open, self.idle
        assert found == idle, f"{found} connections are open, {idle} idle; there were {self.before} before"
