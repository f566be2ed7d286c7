"""Random schedules of whole processes: proofs that age, phases that pass, faults that strike (simulation/)."""

import pytest

from support.simulation.broken import RULES
from support.simulation.cases import CASES
from support.simulation.simulate import simulate

STANDING = [name for name, case in CASES.items() if not case.path]
MOVING = [name for name, case in CASES.items() if case.path]


@pytest.mark.parametrize("case", STANDING)
@pytest.mark.parametrize("faults", ["calm", "lossy", "freeze", "away", "crashes", "refuse", "storm"])
def test_standing_fleet(case, faults):
    """Fleets of one, two and three nodes serve nothing that is older than promised, whatever happens to them."""
    for seed in range(3):
        assert not simulate(seed, case, faults).history.wrong


@pytest.mark.parametrize("case", ["stable1", "stable2", "stable3", "move", "drain"])
@pytest.mark.parametrize("faults", ["split", "cut"])
def test_partition(case, faults):
    """Nor when the network is split, or one process is cut off: three keepers are never asked in two minds."""
    for seed in range(3):
        assert not simulate(seed, case, faults).history.wrong


@pytest.mark.parametrize("case", ["stable1", "stable2"])
@pytest.mark.parametrize("faults", ["gone", "gone+cut", "gone+split"])
def test_healing(case, faults):
    """Nor while the processes take nodes out and back, with or without what these held."""
    for seed in range(2):
        assert not simulate(seed, case, faults).history.wrong


@pytest.mark.parametrize("case", MOVING)
@pytest.mark.parametrize("faults", ["calm", "hang", "storm"])
def test_resize(case, faults):
    """Nor while they are resized or the resize is rolled back; without faults no key is lost on the way."""
    assert not simulate(1, case, faults).history.wrong


@pytest.mark.parametrize("case", ["stable1", "stable2", "stable3", "r2add", "drain"])
@pytest.mark.parametrize("faults", ["calm", "lossy", "cut", "storm"])
def test_swaps(case, faults):
    """Processes that swap a value of their own: no two swap the same one, and none is read that was swapped before."""
    for seed in range(2):
        assert not simulate(seed, case, faults, swaps=True).history.wrong


@pytest.mark.parametrize("case", ["one", "stable1", "stable2", "move", "r2add"])
@pytest.mark.parametrize("faults", ["late", "late+hang"])
def test_late_replies(case, faults):
    """Nor when processes stand still before they read their replies; while they only do that, no slots are given up."""
    for seed in range(2):
        assert not simulate(seed, case, faults).history.wrong


@pytest.mark.parametrize("case", ["stable1", "stable2", "move", "r2add"])
def test_maps_that_were_lost(case):
    """Nor when a node comes back with the map of a fleet that was lost, which counts more epochs."""
    for seed in range(3):
        assert not simulate(seed, case, "leftover").history.wrong


def test_broken_lateness():
    """What is answered while a process stands still counts as lost: it shows by slots that are given up."""
    rule = RULES["lost-by-lateness"]
    assert any(simulate(seed, rule.case, rule.faults, rule).history.wrong for seed in range(5))


@pytest.mark.parametrize("case", ["stable1", "stable2"])
@pytest.mark.parametrize("faults", ["calm", "lossy"])
def test_forks(case, faults):
    """Nor by parents and children that both go on: a child keeps what was learned, and no connection."""
    assert not simulate(1, case, faults, forks=True).history.wrong


def test_broken_fork():
    """A child that uses the connections of its parent reads what that one asked for."""
    rule = RULES["no-pid-check"]
    assert any(simulate(seed, rule.case, rule.faults, rule, forks=True).history.wrong for seed in range(3))


@pytest.mark.parametrize("case", ["one", "stable1", "stable2", "stable3", "move", "r2add"])
@pytest.mark.parametrize("faults", ["calm", "lossy", "away", "storm"])
def test_clears(case, faults):
    """What was stored before a clear() that says it was one is read by no process, whether nodes have neighbours, are
    silent, or keep the fleet's state as Redis does."""
    for seed in range(1 if CASES[case].path else 2):
        assert not simulate(seed, case, faults, clears=True).history.wrong


def test_broken_clear():
    """A clear() that leaves nodes with neighbours as they are shows."""
    rule = RULES["clear-spares"]
    assert any(simulate(seed, rule.case, rule.faults, rule, clears=True).history.wrong for seed in range(20))


@pytest.mark.parametrize("case", ["move", "r2add"])
def test_resize_beside_healing(case):
    """Nor when a conductor and processes that take a node out want the same epoch: one of them begins again."""
    for seed in range(2):
        assert not simulate(seed, case, "gone").history.wrong


@pytest.mark.parametrize("name", ["one-vote", "unmarked", "unbumped"])
def test_broken_healing(name):
    """A node is taken out by one vote, comes back with what it held, or is stood in for under old names: it shows."""
    rule = RULES[name]
    assert any(simulate(seed, rule.case, rule.faults, rule).history.wrong for seed in range(300))


@pytest.mark.parametrize(
    "name",
    [
        "no-bump",
        "no-quarantine",
        "left-alone",
        "unsettled",
        "settled-at-once",
        "cached-for-ever",
        "side-by-side",
        "one-map",
    ],
)
def test_broken_rule(name):
    """The rules that are about time are needed too: without them some schedule goes wrong."""
    rule = RULES[name]
    assert any(simulate(seed, rule.case, rule.faults, rule).history.wrong for seed in range(300))
