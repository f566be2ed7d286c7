"""Drills: real processes on real nodes while things break, and a checker that has to see what is wrong.

DCACHE_TEST_SCALE=full: every planted mistake but those that need luck, two minutes at most for each; else those that
bite at once.
"""

import pytest

from dcache_drill import drill, report
from dcache_drill.plan import Plan
from support.planted_mistakes import MISTAKES, plan
from support.scale import FULL

QUICK = ("short-read", "no-bump", "stub-is-a-value", "own-not-dropped", "missing-is-unchanged")
"""Each bites within a few seconds, on a busy machine too."""
RARE = ("narrow-bump", "no-settle", "token-travels")
"""These need several things within milliseconds: the simulation finds them (docs/explanation/proof.md)."""
LOST = {"never-settled": "I12", "one-vote": "I12", "lost-by-lateness": "I13"}
"""These lose values and falsify none: what shows them."""


def excuse(findings):
    """What a failed drill has to say."""
    return "\n".join([*report.summary(findings), *(v.text for v in findings.violations), str(findings.folder)])


def seen(name, findings):
    """The violations that show a mistake: wrong answers, not delays, exceptions, or misses of a broken product."""
    shows = LOST.get(name) or ("I1 ", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9")
    return [invariant for invariant in findings.total if invariant.startswith(shows)]


@pytest.mark.parametrize(("seed", "replicas", "near"), [(1, 1, True), (2, 2, True), (3, 2, False)])
def test_nothing_wrong_is_ever_seen(tmp_path, seed, replicas, near):
    """While nodes, networks, processes and conductors fail, no answer breaks a promise, from a near cache neither."""
    plan = Plan(seed=seed, replicas=replicas, near=near, seconds=20, calm=1.2, rate=200)
    findings = drill.run(plan, tmp_path)
    assert findings.records > 1000
    assert not findings.total, excuse(findings)


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_mistake_is_found(tmp_path, name):
    """A drill of ten seconds turns red on a product with one rule broken."""
    terms = {"rate": 300.0, **MISTAKES[name].plan, "seconds": 10}
    findings = drill.run(plan(name, **terms), tmp_path)
    assert seen(name, findings), excuse(findings)


@pytest.mark.skipif(not FULL, reason="DCACHE_TEST_SCALE=full runs it")
@pytest.mark.parametrize("name", [name for name in MISTAKES if name not in RARE])
def test_every_planted_mistake_is_found_within_two_minutes(tmp_path, name):
    """A drill of two minutes sees an answer that breaks a promise; being slow does not count."""
    findings = drill.run(plan(name, seconds=120), tmp_path)
    assert seen(name, findings), excuse(findings)
