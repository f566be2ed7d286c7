"""What a request may wait for in all."""

from contextvars import copy_context

from django_dcache.runtime import budget


def test_outside_of_requests_nothing_is_limited():
    """Without a request every operation has its whole timeout, whatever was spent before."""
    budget.spend(100.0)
    assert budget.account() is None
    assert budget.allowance(0.25, 1.0) == 0.25


def test_a_request_runs_out():
    """Operations get what is left of the budget, and in the end a twentieth of their timeout."""

    def request():
        budget.begin()
        spent = []
        for _ in range(6):
            spent.append(budget.allowance(0.5, 1.25))
            budget.spend(0.5)
        budget.end()
        return spent, budget.allowance(0.5, 1.25)

    assert copy_context().run(request) == ([0.5, 0.5, 0.25, 0.025, 0.025, 0.025], 0.5)


def test_tasks_that_wait_together_pay_once():
    """What counts is how long at least one task was waiting."""
    account = budget.Account()
    account.wait(1.0)
    account.wait(1.5)
    account.go_on(2.0)
    account.wait(3.0)
    account.go_on(4.0)
    account.go_on(5.0)
    assert account.spent == 4.0
    account.wait(9.0)
    account.go_on(9.5)
    assert account.spent == 4.5
