"""The hot path stays short. Counted, not timed: the same on every machine."""

import json

import pytest

from support import hot_path

BUDGET = json.loads(hot_path.BUDGET.read_text())


@pytest.fixture(scope="module")
def measured():
    """What every operation takes now."""
    return hot_path.measured()


@pytest.mark.parametrize("operation", BUDGET)
def test_budget(operation, measured):
    """No operation runs more lines, or makes more calls, than its committed budget."""
    spent, budget = measured[operation], BUDGET[operation]
    assert spent["lines"] <= budget["lines"] and spent["calls"] <= budget["calls"], (
        f"{operation} takes {spent}, its budget is {budget}. If that is worth it: {hot_path.COMMAND}"
    )


def test_every_operation_has_a_budget(measured):
    """The budget names every operation that is measured, and no other."""
    assert list(measured) == list(BUDGET)


def test_counting_sees_one_line_more():
    """One more line in the cache's code is one more step, and one more call is one more call."""
    code = compile("def one(): pass\ndef f(more):\n  if more:\n    one()\n", f"{hot_path.OURS}/imagined.py", "exec")
    namespace = {}
    exec(code, namespace)
    counted = [hot_path.least(lambda more=more: namespace["f"](more)) for more in (False, True)]
    assert counted == [{"lines": 1, "calls": 0}, {"lines": 3, "calls": 1}]
