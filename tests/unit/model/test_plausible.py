"""A state that no fleet comes to is refused, even where its signature is ours."""

from dataclasses import replace

import pytest

from django_dcache.errors import InvalidTopology, UntrustedState
from django_dcache.model.documents import Documents
from django_dcache.model.generations import WHOLE_NODE, Generations
from django_dcache.model.plausible import MAX_COUNT, MAX_LEAP, reason_against
from django_dcache.model.state import MAX_PREFIXES, Control, FleetState, prefix_slot
from django_dcache.model.topology import MAX_NODES, MAX_TOTAL_WEIGHT, Layout, Node, Topology

LAYOUT = Layout((Node.at("10.0.0.1"), Node.at("10.0.0.2")))
STATE = FleetState(Topology(7, LAYOUT))
DOCUMENTS = Documents("f", lambda: [b"secret"], "required")


@pytest.mark.parametrize(
    "state",
    [
        FleetState(Topology(2**53 - 1, LAYOUT)),
        FleetState(Topology(MAX_COUNT, LAYOUT)),
        FleetState(Topology(7 + MAX_LEAP + 1, LAYOUT)),
        FleetState(Topology(7, LAYOUT, fence=MAX_COUNT)),
        replace(STATE, fence=MAX_COUNT),
        replace(STATE, control=Control(MAX_COUNT, "run")),
        replace(STATE, generations={f"n{number}": Generations(1) for number in range(25_000)}),
        replace(STATE, generations={f"!n{number}": Generations(1) for number in range(MAX_NODES + 1)}),
        STATE.bumped({prefix_slot(f"{number}:"): 1 for number in range(MAX_PREFIXES + 1)}),
        STATE.bumped({(f"@{number}", WHOLE_NODE): 1 for number in range(100)}),
    ],
    ids=["2**53", "epoch", "leap", "its fence", "fence", "serial", "strangers", "notes", "prefixes", "owners"],
)
def test_implausible(state):
    """Counts that nothing leads to, and names that are no nodes, are refused whoever signed them."""
    with pytest.raises(UntrustedState):
        DOCUMENTS.read(DOCUMENTS.write(state), epoch=7)


def test_plausible():
    """A state that a fleet can come to is not refused, whatever it grew to."""
    grown = FleetState(Topology(7 + MAX_LEAP, LAYOUT), {"gone": Generations(4)}, fence=10**6)
    grown = grown.bumped({prefix_slot(f"{number}:"): 1 for number in range(MAX_PREFIXES)})
    assert reason_against(grown, 7) is None
    assert reason_against(FleetState(Topology(MAX_COUNT - 1, LAYOUT)), 0) is None


def test_weight():
    """A hundred nodes of weight 100 are no layout: each process would need seconds for their ring."""
    Layout(tuple(Node.at(f"10.0.0.{number}", weight=MAX_TOTAL_WEIGHT // 100) for number in range(100)))
    with pytest.raises(InvalidTopology, match="weight"):
        Layout(tuple(Node.at(f"10.0.0.{number}", weight=100) for number in range(100)))
