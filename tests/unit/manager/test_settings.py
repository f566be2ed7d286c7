"""The setting DCACHE, and what beat makes of it."""

import pytest
from celery import current_app
from django.test import override_settings

import dcache_manager.tasks  # noqa: F401
from dcache_manager.messaging.schedule import schedule
from dcache_manager.settings import Regions, parse
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


@pytest.mark.parametrize(
    ("regions", "queues"),
    [
        (None, {"tend": ["dcache"], "warm_due": ["dcache"], "sample": ["dcache"], "expire": ["dcache"]}),
        (
            {"REGION": "eu", "REGIONS": ["eu", "us"]},
            {
                "catch_up": ["dcache.eu", "dcache.us"],
                "tend": ["dcache.eu", "dcache.us"],
                "warm_due": ["dcache.eu", "dcache.us"],
                "sample": ["dcache.eu", "dcache.us"],
                "expire": ["dcache.eu"],
            },
        ),
    ],
)
def test_schedule(regions, queues):
    """Beat has an entry for every region, in that region's own queue, which a late worker may skip."""
    with override_settings(DCACHE=regions):
        entries = schedule(catch_up=3.0).values()
    for entry in entries:
        assert entry["options"]["expires"] == entry["schedule"] and entry["task"] in current_app.tasks
    found = {entry["task"].removeprefix("dcache."): [] for entry in entries}
    for entry in entries:
        found[entry["task"].removeprefix("dcache.")].append(entry["options"]["queue"])
    assert found == queues
