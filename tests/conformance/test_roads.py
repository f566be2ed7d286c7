"""One road: whichever way an operation takes, it answers, counts and asks the same; and a failure means one thing."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import product
from typing import Any

import pytest

from django_dcache.errors import NoReplica
from support.method_cases import CASES
from support.roads import ROADS, STATES, Network

REPLICAS = (1, 2)
ON_ERROR = ("miss", "raise")
DISOWNED = ("delete", "delete_many", "clear")
"""What they remove is removed, or out of everybody's reach, as long as a majority of keepers can be told."""


@pytest.fixture(scope="module")
def played() -> Iterator[Any]:
    """`played(case, road, state, replicas, on_error)`: the result; each is played once."""
    results: dict[tuple[Any, ...], Any] = {}
    ways = [(road, on_error) for road in ROADS for on_error in ON_ERROR]
    with ExitStack() as closing:
        networks = [Network(closing) for _ in ways]
        # Side by side, each in a network of its own: most of the time is spent waiting for a node that is silent.
        threads = closing.enter_context(ThreadPoolExecutor(len(ways)))

        def play(case: Any, road: str, state: str, replicas: int, on_error: str) -> Any:
            if (case.label, state, replicas) not in results:
                played = threads.map(lambda network, way: network.play(case, state, replicas, *way), networks, ways)
                results[case.label, state, replicas] = dict(zip(ways, played, strict=True))
            return results[case.label, state, replicas][road, on_error]

        yield play


def cells(*axes: Any) -> Any:
    """Every combination of the axes."""
    return [pytest.param(*cell, id=", ".join(map(str, cell))) for cell in product(*axes)]


@pytest.mark.parametrize(("state", "replicas", "on_error", "case"), cells(STATES, REPLICAS, ON_ERROR, CASES))
def test_every_road_is_the_same(played, state, replicas, on_error, case):
    """The short cut, the flow and an event loop answer, count and ask the same of each node."""
    first, *others = (played(case, road, state, replicas, on_error) for road in ROADS)
    for other in others:
        assert other.did == first.did
        # Cut off, the short cut may send what the flow, which looks at its connection first, does not: it owes a bump.
        assert other.owed == first.owed or state == "cut off"


@pytest.mark.parametrize(("state", "replicas", "case", "road"), cells(STATES, REPLICAS, CASES, ROADS))
def test_a_failure_is_a_miss_or_raised(played, state, replicas, case, road):
    """What is counted as a failure is NoReplica with on_error="raise"; what is not is the same with both."""
    missed = played(case, road, state, replicas, "miss")
    raised = played(case, road, state, replicas, "raise")
    assert missed.outcome is not NoReplica
    assert raised.outcome == (NoReplica if missed.failures else missed.outcome)
    assert raised.failures == missed.failures


@pytest.mark.parametrize(("state", "replicas", "case", "road"), cells(STATES, REPLICAS, CASES, ROADS))
def test_the_answer(played, state, replicas, case, road):
    """With a copy that works, an operation does what it says; without one it fails, and is counted as a failure."""
    result = played(case, road, state, replicas, "miss")
    if state == "quarantined" and replicas == 1:
        assert result.outcome == (True if case.method == "clear" else result.failing)
        return
    lost = state in ("refused", "silent") or (state == "lost reply" and not case.reads_first)
    if state == "cut off":
        failed = True
    elif case.method in DISOWNED:
        failed = False
    else:
        # No client can say whether a copy counted whose reply was lost: no other copy may hand out the number.
        failed = lost and (replicas == 1 or case.method == "incr")
    if not failed and case.method in DISOWNED and lost and replicas == 1:
        assert result.outcome in (result.answer, result.failing) and not result.failures
        return
    assert result.outcome == (result.failing if failed else result.answer)
    assert bool(result.failures) == failed
