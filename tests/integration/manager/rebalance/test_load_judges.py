"""What a load calls a stray, and which keys it excuses."""

from collections.abc import Callable

from django_dcache.flows.consensus import bump
from django_dcache.model.generations import WHOLE_NODE
from django_dcache.model.keys import wire_key
from django_dcache.model.owner import OWNER
from support.load.bumps import Bumps
from support.load.node_contents import inspect
from support.load.truth import Truth
from support.resize_stage import Stage


def test_what_a_bump_left_behind_is_no_stray(stage: Callable[..., Stage]) -> None:
    """A slot that was bumped on a node which has left is out of reach there, though the fleet state has forgotten it; a
    key of any other slot, or of the slot's last generation, is a stray."""
    on, bumps = stage(3), Bumps()
    leaver = on.nodes.nodes[0]
    view = on.ours.proven_view()
    bumps.see(view.state)
    lost, other, *_ = sorted(name for name in on.owned(leaver) if view.place(name).slot)
    slot, far = view.place(lost).slot, view.place(other).slot
    assert slot != far
    assert on.ours.run(bump, {(leaver.name, slot)})
    on.clock.advance(on.ours.view.hold)
    bumps.see(on.ours.proven_view().state)
    on.conductor().run(on.changed(remove=[leaver.name]))
    assert on.ours.view.generation(leaver.name, slot) == 0, "forgotten"

    def strays() -> list[str]:
        return inspect(on.ours, on.nodes.nodes, Truth(0, 0, 1), bumps).strays

    assert any(key.endswith(lost) for key in leaver.items()) and not strays()
    for name, generation in (lost, 1), (other, 0):
        leaver.ask(b"ms %b 1\r\n0\r\n" % wire_key(name, generation))
    assert sorted(strays()) == sorted(f"{name!r} on {leaver.name}" for name in (lost, other))


def test_what_is_excused(stage: Callable[..., Stage]) -> None:
    """A key may be gone if its slot was bumped on some node since that node came; what the fleet state has of owners,
    or of nodes that joined with something on them, excuses none."""
    on, bumps = stage(2), Bumps()
    joins = on.nodes.add()
    joins.ask(b"ms something 1\r\n0\r\n")
    on.conductor().run(on.changed(add=[joins.address]))
    state = on.ours.proven_view().state
    assert state.generation(joins.name, 5)
    bumps.see(state.bumped({(OWNER + "key", WHOLE_NODE): 7}))
    assert not any(bumps.of(slot) for slot in range(256)) and bumps.slots == 0
    assert on.ours.run(bump, {(joins.name, 5)})
    bumps.see(on.ours.view.state)
    assert bumps.of(5) and not bumps.of(6) and bumps.slots == 1
