"""Generations of a node's slots."""

from django_dcache.model.generations import NONE, WHOLE_NODE


def test_each_bump_is_counted():
    """The total grows with each bump: of a slot that was never bumped, of one that was, and of the whole node."""
    steps = [NONE]
    for slot in (3, 4, 3):
        steps.append(steps[-1].at_least(slot, steps[-1].of(slot) + 1))
    steps += [steps[-1].bump_all(), steps[-1].bump_all().at_least(WHOLE_NODE, 9)]
    totals = [step.total for step in steps]
    assert totals[:4] == [0, 1, 2, 3] and totals == sorted(set(totals))
