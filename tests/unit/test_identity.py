"""Which fleet an alias belongs to, and whose it is."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from django_dcache.backend import DistributedCache
from django_dcache.errors import ConfigurationError
from django_dcache.identity import fleet_alias, owners

OURS = "django_dcache.backend.DistributedCache"
ABC = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
SPELLED = [
    ABC,
    tuple(ABC),
    ",".join(ABC),
    "10.0.0.3;10.0.0.1;10.0.0.2",
    [{"address": address, "name": f"node-{address[-1]}"} for address in ABC],
    [f"{address}:11211" for address in reversed(ABC)],
]


def caches(**locations):
    """CACHES with an alias for each."""
    return {alias: {"BACKEND": OURS, "LOCATION": location} for alias, location in locations.items()}


@pytest.mark.parametrize("location", SPELLED, ids=map(repr, SPELLED))
def test_spellings(location):
    """Aliases on the same nodes are one fleet, however their LOCATION is spelled."""
    with override_settings(CACHES=caches(default=ABC, sessions=location, other="10.0.0.9")):
        assert fleet_alias(location) == "default"
        assert fleet_alias("10.0.0.9") == "other"


@pytest.mark.parametrize("order", [("default", "a", "z"), ("z", "a", "default"), ("z", "a")])
def test_order_of_aliases(order):
    """The order of the aliases does not matter for the name of their fleet."""
    with override_settings(CACHES=caches(**dict.fromkeys(order, ABC))):
        assert fleet_alias(ABC) == ("default" if "default" in order else "a")


def test_nodes_in_common():
    """Fleets that share some of their nodes are refused: each resize of one would lose keys of the other."""
    with override_settings(CACHES=caches(default=ABC, pages=ABC[1:])):
        for location in (ABC, ABC[1:]):
            with pytest.raises(ConfigurationError, match="10.0.0.2:11211, 10.0.0.3:11211 in common.*LOCATION.*fleet"):
                fleet_alias(location)
        with pytest.raises(ImproperlyConfigured, match="in common"):
            DistributedCache(ABC, {}).get("key")


@pytest.mark.parametrize(("option", "value"), [("replicas", 2), ("ring", "libmemcached"), ("hash_tags", True)])
def test_aliases_that_contradict_each_other(option, value):
    """Aliases of one fleet that differ in what the fleet is are refused, with both values."""
    entries = caches(default=ABC, pages=ABC)
    entries["pages"]["OPTIONS"] = {option: value}
    with override_settings(CACHES=entries):
        with pytest.raises(ConfigurationError, match=f"differ in {option}.*'default'.*'pages' {value!r}"):
            fleet_alias(ABC)
        entries["default"]["OPTIONS"] = {option: value, "timeout": 1.0}
        with override_settings(CACHES=dict(entries)):
            assert fleet_alias(ABC) == "default"


def test_caches_of_others():
    """What another backend keeps on the same nodes, or cannot be read at all, is no matter of ours."""
    entries = caches(pages=ABC, broken=7, worse=["no address at all"])
    entries["default"] = {"BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache", "LOCATION": ABC}
    entries["gone"] = {"BACKEND": "no.such.Backend", "LOCATION": ABC}
    with override_settings(CACHES=entries):
        assert fleet_alias(ABC) == "pages"


def test_outside_of_settings():
    """A LOCATION that is in no entry is named as Django names its first cache."""
    with override_settings(CACHES=caches(default=ABC)):
        assert fleet_alias("10.9.9.9") == "default"


def test_owners():
    """A project is known by its key and by those it had, and a fleet with a name of its own belongs to no project."""
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["old"]):
        new, old = owners({})
    with override_settings(SECRET_KEY="old", SECRET_KEY_FALLBACKS=[]):
        assert owners({}) == (old,)
    assert new != old and "new" not in new
    assert owners({"fleet": "shop"}) == ()
    with override_settings(SECRET_KEY=""):
        assert owners({}) == ()
