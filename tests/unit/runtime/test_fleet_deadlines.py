"""The driver's deadlines: one for all rounds of an operation."""

from contextlib import suppress
from contextvars import copy_context

import pytest

from django_dcache.commands import Value
from django_dcache.errors import NodeTimeout
from django_dcache.flows import Brief, Urgent
from django_dcache.flows.read import fetch
from django_dcache.runtime import deadline, shortcut
from django_dcache.runtime.fleet import Carried
from django_dcache.runtime.shortcut import NeedsFlow
from support.fleet_in_memory import make_fleet, pool
from support.scripted_rounds import K, ask, hit, silent, steps


def test_a_silent_node():
    """A node that does not answer costs one timeout, and its connection."""
    fleet = make_fleet(silent)
    began = fleet.clock()
    assert fleet.run(fetch, [K]).unanswered == 1
    assert fleet.clock() - began == pytest.approx(0.25, abs=0.001)
    assert pool(fleet).lines[0].closed and not pool(fleet).idle


def test_one_deadline_for_all_rounds():
    """What is not sent by the deadline is not sent at all, and fails as not sent."""
    fleet = make_fleet(silent)
    first, second = fleet.run(steps(ask(), ask()))
    assert isinstance(first["n"][0], NodeTimeout) and first["n"][0].sent
    assert isinstance(second["n"][0], NodeTimeout) and not second["n"][0].sent
    assert len(pool(fleet).sent) == 1


def test_what_is_urgent_has_its_own_time():
    """A round that prevents a stale value is carried even if the operation's time is used up."""
    fleet = make_fleet(lambda command, number: hit(command, number) if b"urgent" in command else None)
    _, urgent = fleet.run(steps(ask(), ask(Urgent, name=b"urgent")))
    assert urgent["n"] == [Value(b"x", 16)]


def test_what_is_brief_leaves_half():
    """A brief round leaves half of the time to the next one."""
    fleet = make_fleet(lambda command, number: hit(command, number) if b"next" in command else None)
    began = fleet.clock()
    brief, after = fleet.run(steps(ask(Brief), ask(name=b"next")))
    assert isinstance(brief["n"][0], NodeTimeout) and after["n"] == [Value(b"x", 16)]
    assert fleet.clock() - began == pytest.approx(0.125, abs=0.001)


def test_time_used_before():
    """An operation that has used a part of its time already gets the rest."""
    fleet = make_fleet(silent)
    began = fleet.clock()
    fleet.clock.advance(0.15)
    fleet.run(fetch, [K], carried=Carried(fleet.view, began, ()))
    assert fleet.clock() - began == pytest.approx(0.25, abs=0.001)


def test_a_node_that_never_stops_talking():
    """A node whose reply does not end costs no more than one that sends nothing."""
    fleet = make_fleet(silent)
    clock = fleet.clock

    def flood():
        assert clock.advance(0.01) < began + 1
        pool(fleet).lines[0].inbox.append(flood)
        return b"x" * 1000

    began = clock()
    pool(fleet)._answer = lambda command, number: [b"VA 1000000000 f0 O%d\r\n" % number, flood]
    assert fleet.run(fetch, [K]).unanswered == 1
    assert clock() - began < 0.3


@pytest.mark.parametrize(("timeout", "spent", "short"), [(1.0, 0.04, True), (1.0, 0.06, False), (1.5, 0.01, False)])
def test_a_timeout_as_long_as_the_budget(timeout, spent, short):
    """A request that has waited a moment still takes the short cut, though it has less than the timeout left; not where
    a whole budget is less."""
    fleet = make_fleet(silent, timeout=timeout, request_budget=1.0)

    def request():
        deadline.begin_request()
        deadline.spend(spent)
        with suppress(NeedsFlow):
            return bool(shortcut.begin(fleet))
        return False

    fleet.begin()
    assert copy_context().run(request) is short
