"""A site changes its backend process by process, under load, and then moves on: old values are never read."""

from collections import Counter

import pytest

from django_dcache.testing import LocalFleet
from support.adoption_site import Site
from support.classic_backends import CLASSICS
from support.scale import FULL

OPERATIONS = 20_000 if FULL else 1_500
MOVES = {
    "pymemcache": ("--ring", "ketama", "--replicas", "2"),
    "pylibmc": ("--ring", "ketama"),
    "pylibmc-ketama": ("--ring", "ketama"),
    "pylibmc-ketama-weighted": ("--ring", "ketama"),
    "redis": (),
    "django-redis": (),
}
"""What the site does once its old processes are gone. A single server gets another beside it."""

TRIED = MOVES if FULL else ("pymemcache",)


class Counts:
    """How often the site has counted. A count whose answer never came may have been made."""

    def __init__(self, site: Site):
        self._site, self._least, self._most = site, 0, 0

    def take(self, seen: Counter[str]) -> Counter[str]:
        self._least += seen["counted"]
        self._most += seen["counted"] + seen["perhaps_counted"]
        return seen

    def are_there(self) -> bool:
        totals = [self._site.ask("total", [number])["total"] for number in (0, 3)]
        return totals[0] == totals[1] and self._least <= totals[0] <= self._most


def exact(seen: Counter[str]) -> bool:
    """No old value, and no miss of what was there, but where a node did not answer in time."""
    return seen["checked"] > 0 and (seen["stale"], seen["missed"], seen["uncounted"]) == (0, 0, 0)


@pytest.mark.parametrize("name", [name for name in TRIED if name in CLASSICS])
def test_rolling_deploy(name, tmp_path):
    """With half of the processes old, then none, each read is what was last written and each count is there; then keys
    move to ketama, or to another server too, and all of this stays so."""
    classic = CLASSICS[name]
    with LocalFleet(classic.nodes, classic.engine) as nodes, Site(tmp_path, classic, nodes.addresses) as site:
        counts = Counts(site)
        for number in range(4):
            site.start(number, "old")
        site.ask("counters", [0])
        site.ask("fill")
        for deployed in ([], [0, 1], [2, 3]):
            for number in deployed:
                site.start(number, "new")
            seen = counts.take(site.ask(f"run {OPERATIONS}"))
            assert exact(seen), seen
            assert counts.are_there()
        move = MOVES[name] or ("--add", nodes.add().address)
        seen = counts.take(site.under_load(["adopt", "finish"], ["rebalance", "run", *move]))
        assert seen["stale"] == 0 and seen["missed"] <= seen["there"] / 100, seen
        assert counts.are_there(), seen
        now = site.admin("adopt", "status")["items"][0]
        assert (now["coexists"], now["finished"], now["ring"]) == (False, True, "ketama")
