"""A fleet of real nodes follows a headless service by DNS, and a cloud's endpoint before a real memcached."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from dcache_manager.discovery.rules import Rules
from dcache_manager.discovery.source import source
from dcache_manager.discovery.watch import SourceWatch
from dcache_manager.rebalance.autopilot import Autopilot
from dcache_manager.rebalance.reconcile import Reconciler
from django_dcache.conf import parse
from django_dcache.runtime.fleet import Fleet
from django_dcache.testing import LocalFleet
from support.cloud_endpoint import CloudEndpoint
from support.name_server import NameServer
from support.waiting import until

SERVICE = "_memcache._tcp.cache.test"


class Site(NamedTuple):
    """Hosts `cache-0.cache.test` and so on, each of which leads to a node of `local`."""

    fleet: Fleet
    local: LocalFleet
    hosts: dict[str, str]
    say: Callable[[list[str]], None]
    """Makes the source name these hosts."""
    look: Callable[[], list[str]]

    @property
    def nodes(self) -> list[str]:
        return [node.address for node in self.fleet.proven_view().state.topology.layout.nodes]


@pytest.fixture(params=["dns", "srv", "elasticache"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with ExitStack() as stack:
        local = stack.enter_context(LocalFleet(4))
        if request.param == "dns":
            hosts = {f"10.0.0.{number}:11211": node.address for number, node in enumerate(local.nodes)}
        else:
            hosts = {f"cache-{number}.cache.test:11211": node.address for number, node in enumerate(local.nodes)}
        options = {"freshness": 0.05, "timeout": 0.5, "replicas": 2, "address_remap": hosts.get, "eject_after": 0}
        nodes = [{"name": f"cache-{number}", "address": host} for number, host in enumerate(list(hosts)[:3])]
        fleet = Fleet(parse("default", nodes, options))
        stack.callback(fleet.close)
        if request.param == "elasticache":
            endpoint = stack.enter_context(CloudEndpoint(local.nodes[0]))
            text = f"elasticache:{endpoint.address}"

            def say(named: list[str]) -> None:
                endpoint.nodes = [f"{host.partition(':')[0]}|10.0.0.1|11211" for host in named]

        else:
            server = stack.enter_context(NameServer())
            kind, name = {"dns": ("A", "cache.test"), "srv": ("SRV", SERVICE)}[request.param]
            record = "{host}" if kind == "A" else "0 0 11211 {host}."
            text = f"{request.param}:{name}?nameserver={server.address}"

            def say(named: list[str]) -> None:
                server.records[name, kind] = [record.format(host=host.partition(":")[0]) for host in named]

        autopilot = Autopilot(fleet, reconciler=Reconciler(SourceWatch(source(text), Rules(reads=2))))
        yield Site(fleet, local, hosts, say, autopilot.look)


def test_it_follows(site: Site) -> None:
    """A node that is added joins, one that is gone leaves, names that stay are no change; an empty answer and one that
    flaps change nothing."""
    four = list(site.hosts)
    site.say(four[:3])
    assert [site.look() for _ in range(3)][-1] == [] and site.nodes == four[:3]
    site.say(four)
    assert until(lambda: (site.look(), site.nodes == four)[1])
    for said in ([], four[:2], [], four[:3], four, []):
        site.say(said)
        site.look()
    assert site.nodes == four
    site.say(four[1:])
    assert until(lambda: (site.look(), site.nodes == four[1:])[1])


def test_a_pod_that_is_elsewhere_by_its_name(site: Site) -> None:
    """A pod that comes back under its name is no change to the source: the processes find it by the name."""
    three = list(site.hosts)[:3]
    site.say(three)
    epoch = site.fleet.proven_view().epoch
    site.local.nodes[1].kill()
    site.local.nodes[1].restart()
    assert [site.look() for _ in range(3)][-1] == []
    assert site.nodes == three and site.fleet.proven_view().epoch == epoch


def test_one_that_does_not_answer_yet(site: Site) -> None:
    """A pod that is named before it is ready joins when it answers, and until then is what the autopilot waits for."""
    four = list(site.hosts)
    late = site.local.nodes[3]
    late.kill()
    site.say(four)
    said = [site.look() for _ in range(3)][-1]
    assert len(said) == 1 and said[0].endswith(f"({four[3]}): does not answer, or can't be used")
    late.restart()
    assert until(lambda: (site.look(), site.nodes == four)[1])
