"""What a process says of its fleet: changes once, what repeats at most once a minute, and never a key."""

import logging
from collections import Counter

import pytest

from django_dcache.conf import parse
from django_dcache.errors import NodeTimeout, NodeUnresolved, UnreadableValue
from django_dcache.model.topology import Node
from django_dcache.runtime.reports import QUIET_SECONDS, Reports
from django_dcache.testing import ManualClock

NODE = Node.at("10.0.0.1", "a")


@pytest.fixture(autouse=True)
def all_lines(caplog):
    """Every level is heard."""
    caplog.set_level(logging.DEBUG, "django_dcache")


@pytest.fixture
def clock():
    return ManualClock()


def make(clock, **options):
    return Reports(parse("default", ["10.0.0.1", "10.0.0.2"], options), Counter(), clock)


@pytest.mark.parametrize(
    ("options", "cost"),
    [
        ({}, "misses until it is taken out, in about 3 s"),
        ({"eject_after": 0}, "misses until it is back, or taken out by `dcache-admin node down`"),
        ({"replicas": 2}, "Other copies of its keys are used"),
    ],
)
def test_a_node_goes_down(clock, caplog, options, cost):
    """The line about a lost node has its name, its address, the cause, and what it costs by the settings."""
    make(clock, **options).node_down(NODE, NodeTimeout(node="a"))
    (record,) = caplog.records
    assert record.getMessage().startswith("Node a (10.0.0.1:11211) of fleet 'default' is down: it does not answer in")
    assert cost in record.getMessage()
    assert (record.action, record.node, record.cause) == ("node_down", "a", "it does not answer in time")


def test_a_node_comes_back(clock, caplog):
    """The line about its return says how long it was away, and how many operations failed meanwhile."""
    counters = Counter(failures=5)
    reports = Reports(parse("default", "10.0.0.1"), counters, clock)
    reports.node_down(NODE, NodeTimeout())
    counters["failures"] += 7
    reports.node_up(NODE, 14.25)
    assert "up again after 14.2 s, in which 7 operations" in caplog.records[-1].getMessage()
    assert (caplog.records[-1].failed, counters["nodes_lost"]) == (7, 1)


@pytest.mark.parametrize(
    ("action", "counter", "report"),
    [
        ("value_too_large", "too_large", lambda reports: reports.value_too_large(["x"])),
        ("value_refused", "refused", lambda reports: reports.values_refused([2_000_000])),
        ("value_unreadable", "unreadable", lambda reports: reports.value_unreadable(UnreadableValue("no class"))),
        ("state_unproven", None, lambda reports: reports.unproven(3, {"b": "nothing listens there"})),
        ("node_unresolved", None, lambda reports: reports.node_unresolved(NODE, NodeUnresolved("a: unknown"))),
    ],
)
def test_what_repeats(clock, caplog, action, counter, report):
    """What repeats is said at once, then at most once a minute, with how often it happened since."""
    reports = make(clock)
    for _ in range(100):
        report(reports)
    assert [record.action for record in caplog.records] == [action]
    clock.advance(QUIET_SECONDS)
    report(reports)
    report(reports)
    assert len(caplog.records) == 2 and "(100 times)" in caplog.records[1].getMessage()
    if counter:
        assert reports._counters[counter] == 102


def test_the_state_is_proven_again(clock, caplog):
    """The keepers that do not answer are named, with the cause; and how long the state was in doubt is said once."""
    reports = make(clock)
    reports.proven()
    reports.unproven(3, {"b": "nothing listens there", "a": "it does not answer in time"})
    clock.advance(5)
    reports.proven()
    reports.proven()
    assert [record.action for record in caplog.records] == ["state_unproven", "state_proven"]
    assert "(a: it does not answer in time, b: nothing listens there)" in caplog.records[0].getMessage()
    assert "after 5.0 s" in caplog.records[1].getMessage()
    reports.unproven(3, {})
    assert caplog.records[-1].action == "state_unproven"
