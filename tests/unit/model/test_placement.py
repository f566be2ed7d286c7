"""Placement: for any topology and any key, the table of placement.py holds."""

import random
from bisect import bisect_left
from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_dcache.model.placement import Placement, Replicas, Round
from django_dcache.model.topology import Layout, Node, Phase, Topology


def made_up(seed, out=0.2):
    """A layout of three to six of eight nodes, in up to three zones."""
    chance = random.Random(seed)
    names = chance.sample([f"n{i}" for i in range(8)], chance.randint(3, 6))
    zones = chance.choice([("",), ("a", "b"), ("a", "b", "c"), ("a", "")])
    nodes = (
        Node(name, f"10.0.0.{name[1:]}:11211", chance.randint(1, 2), chance.choice(zones), chance.random() < out)
        for name in names
    )
    return Layout(tuple(nodes), seed % 4 + 1, chance.choice(("ketama", "libmemcached")))


LAYOUTS = [made_up(seed) for seed in range(8)]
"""Few, because building a ring takes its time; every two of them are a resize."""

WHOLE = [made_up(seed, out=0) for seed in range(8)]
MOVING = tuple(Phase)[1:]
SEEN_FROM = ("", "a", "b", "nowhere")
points = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20)
layouts = st.sampled_from(LAYOUTS)
whole_layouts = st.sampled_from(WHOLE)


def topologies(phases=tuple(Phase)):
    """In any of these phases."""
    return st.tuples(layouts, layouts, st.sampled_from(phases)).map(
        lambda drawn: Topology(1, drawn[0], drawn[2], drawn[1] if drawn[2] is not Phase.STABLE else None)
    )


replicas_of = lru_cache(Replicas)


@lru_cache
def resize(old, new):
    return Placement(Topology(1, old, Phase.COPY, new))


def place(topology, zone=""):
    """The placement of a topology; rings are built once."""
    return Placement(topology, zone, resize(topology.layout, topology.layouts[-1]))


def sets(topology, point):
    """O, N, J, L and B, in order."""
    old, new = (replicas_of(layout).of(point) for layout in (topology.layout, topology.layouts[-1]))
    joining = tuple(name for name in new if name not in old)
    leaving = tuple(name for name in old if name not in new)
    staying = tuple(name for name in new if name in old)
    return old, new, joining, leaving, staying


@given(topologies(phases=MOVING), points)
def test_table(topology, several):
    """Reads, both rounds of a write, and fills are where the table says, in every phase."""
    placement = place(topology)
    for point in several:
        old, new, joining, leaving, staying = sets(topology, point)
        route = placement.route(point)
        if old == new:
            assert (set(route.read), route.first, route.second) == (set(old), Round(old), Round())
            assert not route.joining and not route.fill
            continue
        table = {
            Phase.PREPARE: (old, Round(old), Round((), joining), ()),
            Phase.COPY: (new, Round(old), Round((), joining), old),
            Phase.FLIP: (new, Round(staying, leaving), Round(joining), old),
            Phase.SETTLE: (new, Round(staying, leaving), Round(joining), ()),
        }
        read, first, second, fill = table[topology.phase]
        assert (set(route.read), route.first, route.second, route.fill) == (set(read), first, second, fill)
        assert route.joining == joining


@given(topologies(phases=(Phase.STABLE,)), points)
def test_stable(topology, several):
    """In a stable fleet a key is read from and written to its replicas, in one round, and nothing else happens."""
    placement = place(topology)
    for point in several:
        replicas = replicas_of(topology.layout).of(point)
        route = placement.route(point)
        assert set(route.read) == set(replicas) and route.first == Round(replicas)
        assert route[2:] == (Round(), (), (), "", "")


@given(topologies(phases=MOVING), points)
def test_one_copy_decides(topology, several):
    """Of a moving key one copy counts: O's first until flip, N's first from then on; between them N's is the gate."""
    placement = place(topology)
    for point in several:
        old, new, *_ = sets(topology, point)
        route = placement.route(point)
        if old != new:
            first = {Phase.PREPARE: old, Phase.COPY: old, Phase.FLIP: new, Phase.SETTLE: new}[topology.phase]
            assert route.truth == (first[0] if first else "")
            # With all of O out of service there is nothing to be fetched from there, and nobody to be shut out.
            gated = topology.phase in (Phase.COPY, Phase.FLIP) and old and old[:1] != new[:1]
            assert route.gate == (new[0] if gated and new else "")


@given(topologies(), points, st.sampled_from(SEEN_FROM))
def test_read_order(topology, several, zone):
    """The own zone is read first; within a zone a copy that may be empty comes last, else the ring's order holds."""
    placement = place(topology, zone)
    nodes = topology.nodes
    for point in several:
        route = placement.route(point)
        new = sets(topology, point)[1]
        far = [bool(zone) and nodes[name].zone != zone for name in route.read]
        assert far == sorted(far)
        for one, other in zip(route.read, route.read[1:], strict=False):
            if (nodes[one].zone == zone) == (nodes[other].zone == zone) or not zone:
                late = topology.phase in (Phase.COPY, Phase.FLIP, Phase.SETTLE)
                waits = [late and name in route.joining for name in (one, other)]
                assert waits == sorted(waits)
                if waits[0] == waits[1] and one in new and other in new:
                    assert new.index(one) < new.index(other)


@given(topologies(), points, st.sampled_from(SEEN_FROM))
def test_zone_changes_only_the_order(topology, several, zone):
    """Processes in different zones read and write the same copies."""
    here, there = place(topology), place(topology, zone)
    for point in several:
        a, b = here.route(point), there.route(point)
        assert set(a.read) == set(b.read) and a[1:] == b[1:]


@given(topologies(), points)
def test_out_of_service(topology, several):
    """A node that is out in both layouts is never asked, told or copied from."""
    placement = place(topology)
    out = [{node.name for node in layout.nodes if node.out} for layout in topology.layouts]
    never = out[0] & out[-1]
    for point in several:
        route = placement.route(point)
        named = {*route.read, *route.write, *route.purge, *route.joining, *route.fill, route.truth, route.gate}
        assert not never & named


@given(whole_layouts, points)
def test_replicas_are_distinct(layout, several):
    """A key has as many replicas as there are to be, on nodes that are all different, its owner first."""
    replicas = replicas_of(layout)
    for point in several:
        found = replicas.of(point)
        assert len(found) == len(set(found)) == min(layout.replicas, len(layout.nodes))
        assert found[0] == replicas.ring.owner(point)


@given(whole_layouts, points)
def test_distinct_zones_first(layout, several):
    """No two replicas share a zone while a zone is without one, and among those of a zone the ring decides."""
    replicas = replicas_of(layout)
    zones = {node.name: node.zone for node in layout.nodes}
    for point in several:
        found = replicas.of(point)
        assert len({zones[name] for name in found}) == min(len(found), len(set(zones.values())))
        walk = list(replicas.ring.walk(point))
        for zone in set(zones.values()):
            mine = [name for name in walk if zones[name] == zone]
            assert [name for name in found if zones[name] == zone] == mine[: sum(zones[n] == zone for n in found)]


@given(whole_layouts, points, st.integers(0, 2))
def test_taking_a_node_out_moves_no_key(layout, several, number):
    """A node taken out of service leaves the replicas of each key as they were, less itself."""
    out = layout.nodes[number]
    nodes = tuple(Node(n.name, n.address, n.weight, n.zone, n == out) for n in layout.nodes)
    before, after = replicas_of(layout), replicas_of(Layout(nodes, layout.replicas, layout.ring))
    for point in several:
        assert after.of(point) == tuple(name for name in before.of(point) if name != out.name)


@given(topologies(phases=MOVING), points)
def test_neighbouring_phases_agree(topology, several):
    """Whoever writes in one phase reaches, in some round, every copy that is read in the phase before or after."""
    order = [Topology(1, topology.layout)]
    order += [Topology(1, topology.layout, phase, topology.target) for phase in MOVING]
    order += [Topology(1, topology.target)]
    placements = [Placement(step, known=resize(topology.layout, topology.target)) for step in order]
    for one, other in zip(placements, placements[1:], strict=False):
        for point in several:
            for writer, reader in ((one, other), (other, one)):
                route = writer.route(point)
                assert set(reader.route(point).read) <= {*route.write, *route.purge}


@pytest.mark.parametrize("phase", tuple(Phase))
def test_reuse(phase):
    """A placement that takes over rings from the one before it routes as one made anew."""
    before = Placement(Topology(1, LAYOUTS[0], Phase.COPY, LAYOUTS[1]))
    topology = Topology(2, LAYOUTS[1], phase, None if phase is Phase.STABLE else LAYOUTS[2])
    anew, reused = Placement(topology), Placement(topology, known=before)
    for point in range(0, 2**32, 2**24):
        assert anew.route(point) == reused.route(point)


@pytest.mark.parametrize("phase", tuple(Phase))
def test_all_replicas_out(phase):
    """A key whose every copy is out of service has nowhere to be read or written, and that is no error."""
    nodes = (Node("a", "a:1", out=True), Node("b", "b:1", out=True))
    target = None if phase is Phase.STABLE else Layout(nodes[:1])
    route = Placement(Topology(1, Layout(nodes), phase, target)).route(5)
    assert not route.read and not route.write


@pytest.mark.parametrize("phase", MOVING)
@pytest.mark.parametrize(("before", "after"), [("rendezvous", "ketama"), ("modula", "modula"), ("ketama", "modula")])
def test_rings_without_a_common_point(before, after, phase):
    """Between rings of which one does not go by md5 each key has the route from its old replicas to its new ones, and
    the table of cuts says the same."""
    nodes = tuple(Node.at(f"10.0.0.{i}") for i in range(4))
    old, new = Layout(nodes[:3], ring=before), Layout(nodes, 2, ring=after)
    placement = Placement(Topology(1, old, phase, new))
    cuts = placement.cuts
    for i in range(300):
        name = b":1:key:%d" % i
        leaving, joining = (each.of(each.position(name).point) for each in map(replicas_of, (old, new)))
        point, slot = placement.locate(name, False)
        assert (point, slot) == placement.position(name)
        route = placement.route(point)
        assert route == placement._route(leaving, joining) == placement.route(cuts[bisect_left(cuts, point)])
