"""What an operator is told to do about a node that is out of service."""

from dataclasses import replace

import pytest

from dcache_manager.inspection.fleet_report import look
from dcache_manager.inspection.next_steps import next_steps
from dcache_manager.inspection.target import Target
from dcache_manager.rebalance.conductor import Conductor
from django_dcache.conf import parse
from django_dcache.flows.consensus import agree
from django_dcache.model.generations import WHOLE_NODE
from django_dcache.model.state import Note, note_slot
from django_dcache.runtime.fleet import Fleet


@pytest.mark.parametrize(
    ("by", "told"), [("processes", "the processes take it back"), ("operator", "an operator took it out")]
)
def test_a_node_that_is_out(fleet, by, told):
    """Who takes it back is who took it out: the processes do that by themselves, and leave an operator's node alone."""
    configuration = parse("f", list(fleet(3).addresses), {"timeout": 5.0, "connect_timeout": 5.0})
    process = Fleet(configuration)
    try:
        node = process.proven_view().state.topology.layout.nodes[0].name

        def taken_out(state):
            layout = state.topology.layout.without({node})
            state = replace(state, topology=state.topology.served_by(layout)).taken_out(node)
            return state.bumped({note_slot(node, Note.EJECTED): state.generation(node, WHOLE_NODE)})

        if by == "processes":
            assert process.run(agree, taken_out).majority
        else:
            Conductor(process).take_out(node)
        (step,) = next_steps(look(Target("f", configuration), 5.0))
        assert step.startswith(f"{node} is out and answers: {told}")
    finally:
        process.close()
