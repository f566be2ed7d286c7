"""Which fleet an alias belongs to, and whose it is."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from django_dcache.backend import DistributedCache
from django_dcache.errors import ConfigurationError
from django_dcache.identity import fleet_alias, owner
from django_dcache.model.owner import Owner

pytestmark = pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")

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


def test_owner():
    """A project is known by its key and by those it had, and a fleet with a name of its own belongs to no project."""
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["old"]):
        new, old = owner(ABC, {}).keys
    with override_settings(SECRET_KEY="old", SECRET_KEY_FALLBACKS=[]):
        assert owner(ABC, {}).keys == (old,)
    assert new != old and "new" not in new
    assert owner(ABC, {"fleet": "shop"}) == Owner()
    with override_settings(SECRET_KEY=""):
        assert owner(ABC, {}) == Owner()


DATABASE = {"NAME": "shop", "HOST": "db1"}


def site(location=ABC, prefix="", database=None, fallbacks=(), key="k"):
    """What a site with these settings is known by."""
    entries = caches(default=location)
    entries["default"]["KEY_PREFIX"] = prefix
    databases = {"default": database} if database else {}
    with override_settings(CACHES=entries, DATABASES=databases, SECRET_KEY=key, SECRET_KEY_FALLBACKS=fallbacks):
        return owner(location, {})


def test_the_place():
    """The mark of the nodes is the same however LOCATION is spelled, and that of other nodes another."""
    assert len({site(location).places for location in SPELLED}) == 1
    assert site(ABC[1:]).places != site(ABC).places


def test_the_user():
    """A site is known by its database; by its key prefix if it has none; else by neither."""
    assert site(database=DATABASE).users == site(database=DATABASE, prefix="r2").users
    assert site(database=DATABASE).users != site(database=DATABASE | {"HOST": "db2"}).users
    memory = {"NAME": ":memory:"}
    assert site(prefix="blog", database=memory).users == site(prefix="blog").users != site(prefix="shop").users
    assert site(database=memory).users == ()


def test_a_key_that_was_changed():
    """With the former key in SECRET_KEY_FALLBACKS a site knows what it was known by."""
    old, new = site(database=DATABASE), site(database=DATABASE, key="new", fallbacks=["k"])
    assert {*old.keys, *old.places, *old.users} < {*new.keys, *new.places, *new.users}
    assert not {*old.present()} & {*new.present()}


def test_other_names():
    """The names that a fleet would have, were it not for other aliases, are those of the aliases on its nodes."""
    entries = caches(default=ABC, pages=ABC, api=ABC, other="10.0.0.9")
    entries["named"] = entries["pages"] | {"OPTIONS": {"fleet": "n"}}
    with override_settings(CACHES=entries):
        assert owner(ABC, {}).names == ("api", "pages")
        assert owner("10.0.0.9", {}).names == ()
