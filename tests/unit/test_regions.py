"""The setting DCACHE, and what beat makes of it."""

import pytest
from django.test import override_settings

from dcache_manager.beat import schedule
from dcache_manager.regions import Regions, parse
from django_dcache.errors import ConfigurationError


def test_regions():
    """REGION alone is the only region; with REGIONS there are others; without DCACHE there is none."""
    assert parse(None) is None
    assert parse({"REGION": "eu"}) == Regions("eu", ("eu",))
    assert parse({"REGION": "eu", "REGIONS": ["us", "eu"]}).others == ("us",)


@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        (["eu"], "want a dict"),
        ({"REGIN": "eu"}, "did you mean 'REGION'?"),
        ({"REGIONS": ["eu"]}, "has no REGION"),
        ({"REGION": "eu", "REGIONS": "eu"}, "want a list"),
        ({"REGION": "e u"}, "'e u'"),
        ({"REGION": "eu", "REGIONS": ["us"]}, "lacks 'eu'"),
        ({"REGION": "eu", "REGIONS": ["eu", "eu"]}, "twice"),
    ],
)
def test_unusable(entry, hint):
    """What can't be used is an error that says what is wrong."""
    with pytest.raises(ConfigurationError, match=hint.replace("?", r"\?")):
        parse(entry)


@override_settings(DCACHE={"REGION": "eu", "REGIONS": ["eu", "us"]})
def test_schedule():
    """Beat has entries for every region, in that region's own queue, which a late worker may skip."""
    entries = schedule(catch_up=3.0, tend=5.0)
    found = {(entry["task"], entry["options"]["queue"], entry["options"]["expires"]) for entry in entries.values()}
    catching, tending = ("dcache.catch_up", 3.0), ("dcache.tend", 5.0)
    assert found == {(task, f"dcache.{region}", s) for task, s in (catching, tending) for region in ("eu", "us")}


def test_schedule_without_regions():
    """Without regions there are only jobs to be tended, in the one queue."""
    assert [(entry["task"], entry["options"]["queue"]) for entry in schedule().values()] == [("dcache.tend", "dcache")]
