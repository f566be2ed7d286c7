"""Two processes that can each reach only some nodes: the bound holds while a majority of keepers is reachable."""

from contextlib import ExitStack
from time import monotonic

import pytest

from django_dcache.conf import parse
from django_dcache.flows import Item
from django_dcache.flows.read import fetch
from django_dcache.flows.write import write
from django_dcache.model import keys
from django_dcache.runtime.fleet import Fleet
from django_dcache.testing import FaultProxy
from support.waiting import until

NAMES = [keys.name(f"key-{number}") for number in range(40)]
OPTIONS = {"freshness": 0.3, "timeout": 0.1, "connect_timeout": 0.1}


class Process:
    """A process with a network of its own: one proxy a node."""

    def __init__(self, addresses, stack, **options):
        self.proxies = {address: stack.enter_context(FaultProxy(address)) for address in addresses}
        remap = {address: proxy.address for address, proxy in self.proxies.items()}
        self.fleet = Fleet(parse("default", addresses, OPTIONS | options | {"address_remap": remap.__getitem__}))
        stack.callback(self.fleet.close)

    def lose(self, addresses):
        for address in addresses:
            self.proxies[address].refuse()
            self.proxies[address].drop_connections()

    def set(self, version):
        """The names whose new version is acknowledged."""
        item = Item(0, b"%d" % version)
        outcomes = self.fleet.run(write, dict.fromkeys(NAMES, item))
        return {name for name, outcome in outcomes.items() if outcome.successful}

    def delete(self):
        outcomes = self.fleet.run(write, dict.fromkeys(NAMES))
        return {name for name, outcome in outcomes.items() if outcome.acknowledged}

    def read(self):
        return {name: int(value.data) for name, value in self.fleet.run(fetch, NAMES).items()}


@pytest.fixture
def processes(fleet):
    """Starts processes on one fleet of five nodes: `processes(how many, **options)`."""
    addresses = fleet(5, memory=16).addresses
    with ExitStack() as stack:
        yield lambda count, **options: [Process(addresses, stack, **options) for _ in range(count)]


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_write_on_one_side_bounds_what_the_other_side_reads(processes, replicas):
    """Whoever writes, and whichever nodes it can't reach, nobody reads an older version once the bound has passed."""
    one, other = processes(2, replicas=replicas)
    addresses = list(one.proxies)
    assert set(NAMES) == one.set(1)
    assert len(NAMES) == len(other.read())
    one.lose(addresses[:2])
    other.lose(addresses[3:])
    bound = OPTIONS["freshness"] + 3 * OPTIONS["timeout"]
    for version, (writer, reader) in enumerate([(one, other), (other, one)], start=2):
        acknowledged = writer.delete() if version == 3 else writer.set(version)
        since = monotonic()
        assert acknowledged
        while (began := monotonic()) < since + 2 * bound:
            for process in (writer, reader):
                for name, seen in process.read().items():
                    assert seen >= version or name not in acknowledged or began < since + bound, (version, name, seen)


def test_without_a_majority_of_keepers_the_policy_decides_and_is_counted(processes):
    """With three of five keepers out of reach reads go on by the last known state, or are misses, as configured."""
    (serving,), (missing,) = processes(1), processes(1, on_unproven="miss")
    serving.set(1)
    for process in (serving, missing):
        assert process.fleet.proven or process.read()
        process.lose(list(process.proxies)[:3])
        deadline = monotonic() + 2 * OPTIONS["freshness"]
        while monotonic() < deadline:
            seen = process.read()
        assert process.fleet.counters["unproven"]
        assert process.fleet.staleness_bound() > OPTIONS["freshness"]
    assert seen is not None
    assert serving.read()


def test_a_process_that_reaches_no_keeper(fleet):
    """One that reaches only a node without the fleet's state acknowledges nothing, however the fleet is resized
    meanwhile: by the map that it knows its keys may be elsewhere."""
    addresses = fleet(6, memory=16).addresses
    with ExitStack() as stack:
        alone, other = Process(addresses, stack), Process(addresses, stack)
        assert until(lambda: other.set(1) == set(NAMES) == alone.read().keys())
        alone.lose(addresses[:5])
        while alone.fleet.proven:
            alone.read()
        assert not alone.set(2) and not alone.delete() and not alone.read()
        assert set(other.read().values()) <= {1}
