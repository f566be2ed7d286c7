"""Drills: real processes on real nodes while things break, and a checker that has to see what is wrong.

DCACHE_TEST_SCALE=full: every planted mistake, two minutes at most for each; else those that bite at once.
"""

import pytest
from click.testing import CliRunner

from dcache_drill import drill, mutants, report, staging
from dcache_drill.faults import FAULTS, HARMLESS
from dcache_drill.teeth import TEETH, terms
from dcache_drill.terms import Terms
from dcache_manager.cli.exit_codes import NotConfirmed
from dcache_manager.cli.main import root
from dcache_manager.cli.options import Choices
from django_dcache.model.topology import Node
from support.scale import FULL

QUICK = ("short-read", "no-bump", "stub-is-a-value")
"""Each bites within a few seconds, on a busy machine too."""


def excuse(findings):
    """What a failed drill has to say."""
    return "\n".join([*report.summary(findings), *(v.text for v in findings.violations), str(findings.folder)])


def wrong(findings):
    """The violations that are answers, not delays or exceptions."""
    return [invariant for invariant in findings.total if not invariant.startswith("I10")]


@pytest.mark.parametrize(("seed", "replicas"), [(1, 1), (2, 2), (3, 2)])
def test_nothing_wrong_is_ever_seen(tmp_path, seed, replicas):
    """While nodes, networks, processes and conductors fail, no answer breaks a promise."""
    findings = drill.run(Terms(seed=seed, replicas=replicas, seconds=20, calm=1.2, rate=200), tmp_path)
    assert findings.records > 1000
    assert not findings.total, excuse(findings)


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_mistake_is_found(tmp_path, name):
    """A drill of a few seconds, or one of two more, turns red on a product with one rule broken."""
    folders = [tmp_path / str(attempt) for attempt in range(3)]
    for folder in folders:
        folder.mkdir()
    assert any(drill.run(terms(name, seconds=6, rate=300), folder).total for folder in folders)


@pytest.mark.skipif(not FULL, reason="DCACHE_TEST_SCALE=full runs it")
@pytest.mark.parametrize("name", TEETH)
def test_every_planted_mistake_is_found_within_two_minutes(tmp_path, name):
    """A drill of 30 seconds, or one of three more, sees an answer that breaks a promise; being slow does not count."""
    folders = [tmp_path / str(attempt) for attempt in range(4)]
    for folder in folders:
        folder.mkdir()
    assert any(wrong(drill.run(terms(name, seconds=30), folder)) for folder in folders)


@pytest.mark.parametrize("name", TEETH)
def test_a_mistake_can_be_planted(name):
    """Every mistake still fits the source it is planted in, and shows under faults that exist."""
    mutants.fit(TEETH[name].edits)
    assert set(FAULTS) >= {fault for pair in TEETH[name].faults for fault in pair.split("+")}


def test_what_a_foreign_fleet_meets_is_ours_alone():
    """On nodes that are not ours, only networks and processes of the drill are broken."""
    assert {"partition", "late", "worker-frozen"} <= set(HARMLESS)
    assert not {"kill", "freeze", "eviction", "maxconns", "rebalance", "keepers-lost"} & set(HARMLESS)


def test_a_fleet_elsewhere_is_left_alone_unless_its_alias_is_typed():
    """dcache-admin drill does nothing to a fleet that is not on this machine until its alias is typed."""
    arguments = ["--nodes", "192.0.2.1:11211", "drill"]
    answer = CliRunner().invoke(root, arguments, input="something\n", obj=Choices(arguments=arguments))
    assert isinstance(answer.exception, NotConfirmed)


def test_loopback_is_what_cannot_be_elsewhere():
    """Only addresses that are this machine's for certain count as such."""
    here = ["127.0.0.1:1", "127.1.2.3:1", "[::1]:1", "localhost:1", "unix:/tmp/socket"]
    there = ["10.0.0.1:1", "0.0.0.0:1", "cache.example:1", "[::]:1"]
    assert [True] * len(here) + [False] * len(there) == [staging.loopback(Node.at(address)) for address in here + there]
