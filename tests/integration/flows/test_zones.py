"""Zones: reads stay near, and a zone may go without a hit being lost."""

import pytest

from django_dcache.conf import parse
from django_dcache.flows import Item
from django_dcache.flows.read import fetch
from django_dcache.flows.write import write
from django_dcache.model import keys
from django_dcache.runtime.fleet import Fleet

NAMES = [keys.name(f"key-{number}") for number in range(600)]


@pytest.fixture
def zoned(fleet):
    """Three zones of two nodes each, every key in every zone, seen from zone b: (Fleet, {zone: its nodes})."""
    nodes = fleet(6, memory=16).nodes
    zones = {zone: nodes[2 * index : 2 * index + 2] for index, zone in enumerate("abc")}
    location = [{"address": node.address, "zone": zone} for zone, members in zones.items() for node in members]
    options = {"replicas": 3, "zone": "b", "timeout": 20.0, "freshness": 60.0}  # No node is ever silent here.
    seen = Fleet(parse("default", location, options))
    outcomes = seen.run(write, {name: Item(0, b"value") for name in NAMES})
    assert all(outcome.successful for outcome in outcomes.values())
    yield seen, zones
    seen.close()


def gets(members):
    return sum(int(node.stats()["cmd_get"]) for node in members)


def test_each_zone_holds_a_copy_of_every_key(zoned):
    """With as many replicas as zones, every key's copies are in different zones."""
    seen, _ = zoned
    nodes = seen.view.state.topology.nodes
    assert {"abc"} == {"".join(sorted(nodes[n].zone for n in seen.view.place(name).route.read)) for name in NAMES}


def test_reads_stay_in_their_own_zone(zoned):
    """In a healthy fleet at least 99 % of what the nodes are asked to read is asked of the reader's zone."""
    seen, zones = zoned
    before = {zone: gets(members) for zone, members in zones.items()}
    for _ in range(10):
        assert len(NAMES) == len(seen.run(fetch, NAMES))
    asked = {zone: gets(members) - before[zone] for zone, members in zones.items()}
    assert asked["b"] >= 0.99 * sum(asked.values())


def test_a_zone_lost_costs_no_hit(zoned):
    """With all nodes of the own zone gone, every key is still found, in another zone."""
    seen, zones = zoned
    for node in zones["b"]:
        node.kill()
    assert len(NAMES) == len(seen.run(fetch, NAMES))
