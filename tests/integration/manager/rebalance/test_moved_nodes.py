"""A node gets another address: one resize, in which it is out of service at the old one and joins at the new one."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from dcache_manager.errors import Cancelled
from django_dcache.errors import InvalidTopology
from django_dcache.flows import resize
from django_dcache.model.topology import Layout, Phase
from django_dcache.testing import LocalNode
from support.resize_stage import NAMES, Stage

Stages = Callable[..., Stage]


def moved(layout: Layout, name: str, node: LocalNode) -> Layout:
    nodes = (replace(old, address=node.address, out=False) if old.name == name else old for old in layout.nodes)
    return replace(layout, nodes=tuple(nodes))


def address(fleet: Stage, name: str) -> tuple[str, bool]:
    node = fleet.theirs.proven_view().state.topology.layout.node(name)
    assert node
    return node.address, node.out


def test_the_old_address_is_dead(stage: Stages) -> None:
    """A node that died and came back elsewhere keeps its name and its place on the ring, and is filled from the other
    copies: no key is lost, and none lies where it does not belong."""
    fleet = stage(3, replicas=2)
    dead, new = fleet.nodes.nodes[0], fleet.nodes.add()
    dead.kill()
    fleet.conductor().run(moved(fleet.changed(), dead.address, new))
    assert address(fleet, dead.address) == (new.address, False)
    assert fleet.versions() == [1] * len(NAMES)
    owned = fleet.owned(dead)
    assert len(owned) > 100 and owned == {key.rpartition(b";")[2] for key in new.items() if b"key:" in key}


def test_the_old_address_is_alive_and_held_the_only_copies(stage: Stages) -> None:
    """What only the old address held is a miss; what was written meanwhile is there, and nothing older ever again."""
    fleet = stage()
    left, new = fleet.nodes.nodes[0], fleet.nodes.add()
    lost = fleet.owned(left)
    seen: list[int] = []

    def write() -> None:
        seen.extend(fleet.versions())
        fleet.clock.advance(60)  # Until the share of the node can be stored elsewhere.
        fleet.theirs.proven_view()
        fleet.store(2, NAMES[:300])

    fleet.conductor({"copy": write}).run(moved(fleet.changed(), left.address, new))
    assert [seen[NAMES.index(name)] for name in lost] == [-1] * len(lost)
    expected = [2] * 300 + [-1 if name in lost else 1 for name in NAMES[300:]]
    assert fleet.versions() == expected
    assert left.items()


@pytest.mark.parametrize("phase", ["prepare", "copy", "flip", "settle"])
def test_the_conductor_dies(stage: Stages, phase: str) -> None:
    """The next conductor finds the move in the state and finishes it."""
    fleet = stage(3, replicas=2)
    dead, new = fleet.nodes.nodes[0], fleet.nodes.add()
    dead.kill()
    goal = moved(fleet.changed(), dead.address, new)

    def die() -> None:
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        fleet.conductor({phase: die}).run(goal)
    target = fleet.theirs.proven_view().state.topology.target
    assert target
    fleet.conductor().run(target)
    assert address(fleet, dead.address) == (new.address, False) and fleet.versions() == [1] * len(NAMES)


def test_cancelled(stage: Stages) -> None:
    """A move that is cancelled leaves the node out of service at its new address; no key is lost, and it can join."""
    fleet = stage(3, replicas=2)
    dead, new = fleet.nodes.nodes[0], fleet.nodes.add()
    dead.kill()

    def cancel() -> None:
        fleet.theirs.run(resize.ask, "cancel")

    with pytest.raises(Cancelled):
        fleet.conductor({"copy": cancel}).run(moved(fleet.changed(), dead.address, new))
    assert address(fleet, dead.address) == (new.address, True) and fleet.versions() == [1] * len(NAMES)
    fleet.conductor().bring_back(dead.address)
    assert address(fleet, dead.address) == (new.address, False) and fleet.versions() == [1] * len(NAMES)


def test_what_lies_at_an_address_belongs_to_no_later_node(stage: Stages) -> None:
    """A server that a node has left, with all that it held, becomes another node, of a new name or of one that was
    elsewhere before: what it held is not read again."""
    fleet = stage()
    first, second = fleet.nodes.nodes[:2]
    third, fourth = fleet.nodes.add(), fleet.nodes.add()
    fleet.conductor().run(moved(fleet.changed(), first.address, third))
    fleet.clock.advance(60)
    fleet.store(2)
    fleet.conductor().run(moved(fleet.changed(), second.address, first))
    assert set(fleet.versions()) == {2, -1}
    fleet.clock.advance(60)
    fleet.store(3)
    fleet.conductor().run(moved(fleet.changed(), second.address, fourth))
    fleet.clock.advance(60)
    fleet.store(4)
    fleet.conductor().run(fleet.changed(add=[f"localhost:{first.address.split(':')[1]}"]))
    assert set(fleet.versions()) == {4}


def test_all_at_once(stage: Stages) -> None:
    """That every node moves in one step is refused before anything is changed: the fleet's state lies on them."""
    fleet = stage(2)
    new = [fleet.nodes.add(), fleet.nodes.add()]
    layout, before = fleet.changed(), fleet.settled
    for node, other in zip(fleet.nodes.nodes, new, strict=False):
        layout = moved(layout, node.address, other)
    with pytest.raises(InvalidTopology, match="no other node is in service"):
        fleet.conductor().run(layout)
    assert fleet.settled == before


def test_a_node_that_was_taken_out(stage: Stages) -> None:
    """One that is out of service since it died moves as well, and is in service then."""
    fleet = stage()
    dead, new = fleet.nodes.nodes[0], fleet.nodes.add()
    dead.kill()
    fleet.conductor().take_out(dead.address)
    fleet.conductor().run(moved(fleet.changed(), dead.address, new))
    topology = fleet.theirs.proven_view().state.topology
    assert topology.phase is Phase.STABLE and address(fleet, dead.address) == (new.address, False)
    fleet.clock.advance(60)
    fleet.store(2)
    assert set(fleet.versions()) == {2} and new.items()
