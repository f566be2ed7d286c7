"""Until when an operation may last, and what a request may wait for in all."""

from contextvars import copy_context

import pytest

from django_dcache.commands import Get
from django_dcache.flows import Brief, Urgent
from django_dcache.runtime import deadline
from django_dcache.runtime.deadline import Deadline

ROUND = {"a": [Get(b"k")]}


def new(began=10.0, timeout=0.5, request_budget=1.25, now=10.0):
    return Deadline(lambda: now, began, timeout, request_budget)


def test_outside_of_requests_nothing_is_limited():
    """Without a request every operation has its whole timeout, whatever was spent before."""
    deadline.spend(100.0)
    assert deadline.account() is None
    assert new().ends == 10.5


def test_a_request_runs_out():
    """Operations get what is left of the budget, and in the end a twentieth of their timeout."""

    def request():
        deadline.begin_request()
        seconds = []
        for _ in range(6):
            seconds.append(new().ends - 10.0)
            deadline.spend(0.5)
        deadline.end_request()
        return [*seconds, new().ends - 10.0]

    assert copy_context().run(request) == [0.5, 0.5, 0.25, *([0.025000000000000355] * 3), 0.5]


def test_half_is_left_to_another_copy():
    """A brief round has half of the time that is left when it is sent."""
    assert new(now=10.2).of(ROUND) == 10.5
    assert new(now=10.1).of(Brief(ROUND)) == 10.3
    assert new(now=10.4).of(Brief(ROUND), sent_at=10.0) == 10.25


def test_what_is_urgent_has_time_once():
    """All rounds that prevent a stale value share one timeout of their own, which begins with the first of them."""
    operation = new(now=11.0)
    assert operation.of(Urgent(ROUND)) == operation.of(Urgent(ROUND), sent_at=11.4) == 11.5


@pytest.mark.parametrize(
    ("kind", "answered_at", "late"),
    [(dict, 10.5, False), (dict, 10.6, True), (Brief, 10.4, False), (Brief, 10.6, True), (Urgent, 10.8, False)],
)
def test_what_is_late(kind, answered_at, late):
    """A round is late that was answered after the end of its operation, a brief one too; an urgent one has its own."""
    operation = new()
    operation.of(kind(ROUND), sent_at=10.4)
    assert operation.carried(answered_at) is late


def test_tasks_that_wait_together_pay_once():
    """What counts is how long at least one task was waiting."""
    account = deadline.Account()
    account.wait(1.0)
    account.wait(1.5)
    account.resume(2.0)
    account.wait(3.0)
    account.resume(4.0)
    account.resume(5.0)
    assert account.spent == 4.0
    account.wait(9.0)
    account.resume(9.5)
    assert account.spent == 4.5
