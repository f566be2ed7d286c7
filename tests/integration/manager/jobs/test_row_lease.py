"""Claims: one worker at a time, and whoever has lost one finds out."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from dcache_manager.errors import ClaimLost
from dcache_manager.jobs import owner
from dcache_manager.jobs.row_lease import TAKEOVER, claim
from dcache_manager.models import Job, Step

pytestmark = pytest.mark.usefixtures("tables")
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def clock() -> datetime:
    return NOON


def later() -> datetime:
    return NOON + TAKEOVER + timedelta(seconds=1)


@pytest.fixture
def step(tables: None) -> Step:
    """A step that nobody is at."""
    job = Job.objects.create(name="a", kind="rebalance", fleet="default", state="running", heard=NOON)
    return Step.objects.create(job=job, name="1", heard=NOON)


def again(step: Step) -> Step:
    return Step.objects.get(pk=step.pk)


def test_one_at_a_time(step: Step) -> None:
    """While a holder shows life nobody else gets the claim, and once it has left the next one does."""
    held = claim(again(step), clock)
    assert held and claim(again(step), clock) is None
    held.leave(state="waiting")
    assert claim(again(step), clock)


def test_of_two_who_saw_the_same(step: Step) -> None:
    """Of two workers who read the row in the same moment one gets the claim."""
    first, second = again(step), again(step)
    assert claim(first, clock) and claim(second, clock) is None


def test_taken_over(step: Step) -> None:
    """A holder that showed no life for long is given up, and finds at its next sign that it has lost the claim."""
    lost = claim(again(step), clock)
    taken = claim(again(step), later)
    assert lost and taken
    taken.beat(checkpoint={"moved": 7})
    with pytest.raises(ClaimLost):
        lost.beat(checkpoint={"moved": 3})
    assert again(step).checkpoint == {"moved": 7}


def test_dead_on_this_machine(step: Step) -> None:
    """A holder whose process is gone from this machine is given up at once."""
    code = "from dcache_manager.jobs import owner; print(owner.new())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    Step.objects.update(holder=said, token=1)
    assert owner.dead_here(said) and claim(again(step), clock)


def test_elsewhere() -> None:
    """Of a process on another machine nobody here can say that it lives, or that it is dead."""
    assert not owner.alive_here("elsewhere/1/aa") and not owner.dead_here("elsewhere/1/aa")
    assert owner.alive_here(owner.new()) and not owner.dead_here(owner.new())
