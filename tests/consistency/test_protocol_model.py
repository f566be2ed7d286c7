"""The rules of the protocol as a model: they hold, and each of them is needed."""

import pytest

from support.models import counters as counter_model
from support.models import near as near_model
from support.models import prefixes as prefix_model
from support.models import protocol as protocol_model
from support.models import tags as tag_model

FAULTS = ({}, {"hang": 0.04}, {"hang": 0.02, "restart": 0.004})
BROKEN = {
    "read-repair": "stable2",
    "unleased": "move",
    "new-first": "move",
    "parallel": "r2add",
    "flip-together": "r2add",
    "bump-narrow": "r2add",
    "no-quarantine": "move",
    "no-bump": "stable2",
}
"""Rules that random schedules need often enough to show it within seconds, and where."""


def wrong(case, rule, seeds):
    """Whether any of so many schedules, under each kind of fault, lets a reader see what it should not."""
    return any(protocol_model.run(seed, case, rule, **faults).wrong for faults in FAULTS for seed in range(seeds))


@pytest.mark.parametrize("case", ["stable2", "move", "grow", "shrink", "r2add", "r2both"])
def test_values(case):
    """No schedule of writers, readers and a mover shows a value that an acknowledged write had replaced."""
    assert not wrong(case, "ok", 60)


@pytest.mark.parametrize("rule", BROKEN)
def test_broken_rule(rule):
    """Without any one of its rules a schedule goes wrong."""
    assert wrong(BROKEN[rule], rule, 1500)


@pytest.mark.parametrize("script", [counter_model.count, counter_model.lock])
@pytest.mark.parametrize("case", ["stable2", "stable3"])
def test_counters_and_locks(script, case):
    """No number is handed out twice or below an earlier one, and no lock to two clients while a copy of it is left."""
    for faults in ({"hang": 0.03, "evict": 0.0}, {"hang": 0.03, "evict": 0.2}):
        assert not any(counter_model.run(seed, "ok", case, script, **faults).wrong for seed in range(100))


@pytest.mark.parametrize("rule", [rule for rule in counter_model.RULES if rule != "ok"])
def test_broken_rule_of_counters(rule):
    """Without any one of the rules for counters and additions a schedule goes wrong."""
    script = counter_model.lock if rule in ("unheard", "no-consent") else counter_model.count
    assert any(counter_model.run(seed, rule, script=script, hang=0.03).wrong for seed in range(300))


@pytest.mark.parametrize(
    ("case", "cast"), [("single", "one"), ("stable2", "slow"), ("r2add", "busy"), ("move", "moving")]
)
def test_prefixes(case, cast):
    """No schedule of clients that learn late of invalidations shows what was stored before one, or loses a lock."""
    assert not any(prefix_model.run(seed, "ok", case, cast).wrong for seed in range(60))


@pytest.mark.parametrize(
    ("rule", "case", "cast"),
    [
        ("unstamped", "stable2", "slow"),
        ("restamped", "move", "moving"),
        ("newer-is-absent", "single", "one"),
        ("old-is-present", "single", "one"),
        ("no-token", "single", "one"),
        ("blind", "single", "one"),
        ("known-next", "stable2", "slow"),
        ("no-rename", "stable2", "slow"),
        ("rename-at-once", "stable2", "busy"),
    ],
)
def test_broken_rule_of_prefixes(rule, case, cast):
    """Without any one of the rules for prefixes a schedule goes wrong."""
    assert any(prefix_model.run(seed, rule, case, cast).wrong for seed in range(400))


@pytest.mark.parametrize(("case", "cast", "faults"), tag_model.SCHEDULES)
def test_tags(case, cast, faults):
    """No schedule shows a row whose tag was invalidated before the visit, with slow loaders, lost and evicted tags."""
    assert not any(tag_model.run(seed, "ok", case, cast, **faults).wrong for seed in range(100))


@pytest.mark.parametrize(
    ("rule", "schedule"),
    [
        ("versions-after-load", 0),
        ("missing-is-unchanged", 0),
        ("same-again", 0),
        ("time-of-reply", 0),
        ("own-not-dropped", 0),
        ("no-bump", 1),
        ("no-view-check", 1),
        ("unleased", 3),
    ],
)
def test_broken_rule_of_tags(rule, schedule):
    """Without any one of the rules for tags a schedule goes wrong."""
    case, cast, faults = tag_model.SCHEDULES[schedule]
    assert any(tag_model.run(seed, rule, case, cast, **faults).wrong for seed in range(400))


@pytest.mark.parametrize(("case", "cast", "faults"), near_model.SCHEDULES)
def test_near_entries(case, cast, faults):
    """No schedule of processes that keep what they have read shows what was replaced too long ago, or by themselves."""
    assert not any(near_model.run(seed, "ok", case, cast, **faults).wrong for seed in range(60))


@pytest.mark.parametrize("rule", [rule for rule in near_model.RULES if rule != "ok"])
def test_broken_rule_of_near_entries(rule):
    """Without any one of the rules for near entries a schedule goes wrong."""
    worlds = (
        near_model.run(seed, rule, case, cast, **faults)
        for seed in range(300)
        for case, cast, faults in near_model.SCHEDULES[:2]
    )
    assert any(world.wrong for world in worlds)
