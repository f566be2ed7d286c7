"""A keeper that takes its time must not keep a process from what the other keepers know."""

from django_dcache.conf import parse
from django_dcache.flows.consensus import bump
from django_dcache.runtime.fleet import Fleet
from django_dcache.testing import FaultProxy

OPTIONS = {"freshness": 0.5, "timeout": 0.2}


def test_a_slow_keeper_does_not_hide_a_bump(fleet):
    """A process learns of a bump from the majority in one go, though one keeper's replies come too late."""
    nodes = fleet(3)
    with FaultProxy(nodes.addresses[0]) as proxy:
        slow = Fleet(parse("default", nodes.addresses, OPTIONS | {"address_remap": Through(proxy).get}))
        quick = Fleet(parse("default", nodes.addresses, OPTIONS))
        slow.proven_view()
        slot = (quick.proven_view().state.topology.layout.nodes[1].name, 3)
        assert quick.run(bump, [slot])
        proxy.delay(OPTIONS["timeout"] * 2)
        slow.doubt()
        assert slow.proven_view().generation(*slot) == 1
        slow.close()
        quick.close()


class Through(dict):
    """From addresses to where they are reached."""

    def __init__(self, *proxies):
        super().__init__({proxy.target: proxy.address for proxy in proxies})

    def get(self, address):
        return super().get(address, address)
