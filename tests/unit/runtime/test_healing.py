"""What a process does about its nodes after a proof."""

from dataclasses import replace

from django_dcache.conf import Options
from django_dcache.model.state import FleetState, Note, note_slot
from django_dcache.model.topology import Phase
from django_dcache.runtime.healing import Healer
from django_dcache.transport.breaker import LAST_PROBE_AWAITED
from django_dcache.transport.nodes import Transport
from support.played_flows import Keepers, Play, topology, view_of


def test_an_accused_node_is_asked():
    """A process that learns of an accusation asks the node, whatever it has known of it."""
    view = view_of(FleetState(topology("abc")).bumped({note_slot("a", Note.ACCUSED): 1}), freshness=1.0)
    transport = Transport(clock=view.clock)
    transport.serve(view.state.topology.nodes)
    breaker = transport.pool("a").breaker
    breaker.failed(absent=True)
    assert not breaker.admits()
    Play(Healer(Options(), transport).look(view), keepers=Keepers(view, silent="a"))
    assert breaker.admits()


def test_a_node_that_others_reach():
    """A process whose accusation was refuted probes the node every second, however long it has been away."""
    view = view_of(FleetState(topology("abc")), freshness=1.0)
    transport, keepers = Transport(clock=view.clock), Keepers(view, silent="a")
    transport.serve(view.state.topology.nodes)
    healer, breaker = Healer(Options(), transport), transport.pool("a").breaker
    breaker.failed(absent=True)

    def look():
        nonlocal view
        view.clock.advance(1.0)
        view = replace(view, proven_at=view.clock.now)
        for step in Play(healer.look(view), keepers=keepers).learned:
            view = view.learn(step.state, step.proven_at, step.held)

    look()
    assert view.state.accused and not transport.awaited
    refuted = view.state.bumped({note_slot("a", Note.REFUTED): 1})
    for keeper in "bc":
        keepers.put(keeper, refuted.encode())
    view = view.learn(refuted)
    look()
    assert transport.awaited == {"a"}
    for _ in range(8):
        assert breaker.admits()
        breaker.failed(absent=True)
        view.clock.advance(1.25 * LAST_PROBE_AWAITED)


def test_a_node_that_another_process_cleared():
    """A process that shuns an accused node looks at its nodes once more when it hears that the accusation was refuted,
    though every node answers it by then: or it would leave the node alone for ever."""
    view = view_of(FleetState(topology("abc")), freshness=1.0).shunning(frozenset("a"))
    transport = Transport(clock=view.clock)
    transport.serve(view.state.topology.nodes)
    healer = Healer(Options(), transport)
    assert healer.needed(view)
    (shun,) = Play(healer.look(view), keepers=Keepers(view)).shunned
    assert not healer.needed(view.shunning(shun))


def test_while_keys_move():
    """While a conductor moves keys no node is accused, and a process probes each one every second, however long it has
    been away: others use it."""
    moving = replace(topology("abc", "abcd", Phase.COPY), fence=7)
    view = view_of(FleetState(moving), freshness=1.0)
    transport = Transport(clock=view.clock)
    transport.serve(moving.nodes)
    Play(Healer(Options(), transport).look(view), keepers=Keepers(view, silent="d"))
    assert transport.awaited == set("abcd")
