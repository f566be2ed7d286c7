"""A plan for every point of the ring, found without a search where a part of the ring has one plan only."""

import pytest

from django_dcache.conf import parse
from django_dcache.model.keys import position
from django_dcache.runtime.fleet import Fleet
from django_dcache.runtime.plans import RECENT_KEYS

ADDRESSES = ["10.0.0.1:11211", "10.0.0.2:11211", "10.0.0.3:11211"]


@pytest.mark.parametrize("nodes", [1, 3])
def test_a_key_has_the_plan_of_its_point(nodes):
    """Whether asked for the first time or again, alone or among many, a key is asked where the ring places it."""
    fleet = Fleet(parse("default", ADDRESSES[:nodes], {}))
    made_keys = [f"a:1:{number}" for number in range(2000)]
    expected = [fleet.view.placement.route(position(key.encode()).point).first.write for key in made_keys]
    for _ in range(2):
        alone = [fleet.plans.place(key) for key in made_keys]
        assert [tuple(copy.node for copy in plan.write) for _, _, plan in alone] == expected
        assert fleet.plans.place_many(made_keys) == alone


@pytest.mark.parametrize("options", [{}, {"hash_tags": True}])
def test_what_is_remembered(options):
    """A key that was asked for before has the place it had; however many are asked for, a thousand are remembered."""
    fleet = Fleet(parse("default", ADDRESSES, options))
    for start in range(0, 3 * RECENT_KEYS, 100):
        made_keys = [f"a:1:{{{number}}}" for number in range(start, start + 100)]
        alone = [fleet.plans.place(key) for key in made_keys[::-1]][::-1]
        assert fleet.plans.place_many(made_keys) == alone
        assert [fleet.plans.place(key) for key in made_keys] == alone
        assert len(fleet.plans.recent) <= RECENT_KEYS + 100
