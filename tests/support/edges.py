"""A site that is a region and has an edge, and what becomes of its purges."""

from django.test import override_settings

from dcache_manager.invalidation import log
from dcache_manager.invalidation.history import entries
from dcache_manager.settings import regions
from support.waiting import until

RULES = [("^/product/", 3600, 0)]
"""What DCACHE_EDGE says."""


def edge(**options):
    """DCACHE with one edge."""
    return override_settings(DCACHE={"REGION": "eu", "EDGES": {"front": options}})


def shown():
    """The newest entry of the log."""
    return entries("default", 1)[0]


def settle():
    """What beat and the follower do, until nothing is missing."""

    def settled():
        log.catch_up(regions())
        return not any(entry["missing"] for entry in entries("default", 9))

    assert until(settled, seconds=20)
