"""A session that was logged out is never alive again, whatever its nodes do meanwhile."""

from contextlib import ExitStack, suppress

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.backends.cache import SessionStore as CacheSession
from django.contrib.sessions.backends.cached_db import SessionStore as CachedDatabaseSession
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.db import connection
from django.test import override_settings

from django_dcache.conf import parse
from django_dcache.flows.read import fetch
from django_dcache.runtime.fleet import Fleet
from django_dcache.testing import FaultProxy

FAST = {"timeout": 0.15, "connect_timeout": 0.15, "freshness": 0.3}


class Frozen:
    """The node hangs, and executes what it was sent when it wakes: a save that nobody believes in any more."""

    def __init__(self, node, proxy):
        self.leave, self.come_back = node.freeze, node.thaw


class CutOff:
    """The node is well, and can't be reached: what was deleted meanwhile is all still there."""

    def __init__(self, node, proxy):
        self.leave, self.come_back = self._cut, proxy.heal
        self._proxy = proxy

    def _cut(self):
        self._proxy.refuse()
        self._proxy.drop_connections()


@pytest.fixture(scope="module")
def database():
    """The table of sessions, in memory."""
    with connection.schema_editor() as editor:
        editor.create_model(Session)


@pytest.fixture
def proxied():
    """Starts networks in front of nodes: `proxied(address)`."""
    with ExitStack() as proxies:
        yield lambda address: proxies.enter_context(FaultProxy(address))


@pytest.fixture
def reader(fleet):
    """Starts processes' worth of readers that know only what the keepers tell them: `reader(entry)`."""
    made = []

    def make(entry):
        made.append(Fleet(parse("default", entry["LOCATION"], entry["OPTIONS"])))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_session_is_out_of_reach_of_who_chooses_a_key(fleet):
    """What a site caches under a key that a visitor chose, as it is, is no session of an alias for sessions."""
    entry = {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": fleet(2).addresses}
    aliases = {"default": entry, "sessions": entry | {"KEY_PREFIX": "sessions"}}
    with override_settings(CACHES=aliases, SESSION_CACHE_ALIAS="sessions"):
        session = CacheSession()
        session["user"] = "ada"
        session.save()
        for chosen in (session.cache_key, caches["sessions"].make_key(session.cache_key)):
            assert caches["default"].set(chosen, {"user": "eve"}) and caches["default"].get(chosen) == {"user": "eve"}
        assert CacheSession(session.session_key).load() == {"user": "ada"}
        caches["default"].fleet.close()


@pytest.mark.parametrize("engine", [CacheSession, CachedDatabaseSession], ids=["cache", "cached_db"])
@pytest.mark.parametrize("fault", [Frozen, CutOff])
@pytest.mark.parametrize("replicas", [1, 2])
def test_a_session_logged_out_while_a_replica_is_unreachable_stays_logged_out(
    fleet, proxied, reader, database, engine, fault, replicas
):
    """Logout while a node of the session is away holds when the node is back, for every process that reads it."""
    nodes = fleet(3).nodes
    proxies = {node.address: proxied(node.address) for node in nodes}
    options = {"replicas": replicas, **FAST, "address_remap": lambda address: proxies[address].address}
    location = [node.address for node in nodes]
    entry = {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": location, "OPTIONS": options}
    with override_settings(CACHES={"default": entry}, SESSION_CACHE_ALIAS="default"):
        cache = caches["default"]
        session = engine()
        session["user"] = "ada"
        session.save()
        key, name = session.session_key, cache.make_key(session.cache_key).encode()
        assert engine(key).load() == {"user": "ada"}
        owner = cache.fleet.view.place(name).route.read[0]
        away = fault(next(node for node in nodes if node.address == owner), proxies[owner])
        away.leave()
        session["visits"] = 1
        # With one replica the session can't be read at the moment, which Django takes for a logout elsewhere.
        with suppress(UpdateError):
            session.save()
        session.flush()
        away.come_back()
        newcomer = reader(entry)
        for _ in range(20):
            assert name not in newcomer.run(fetch, [name])
            assert engine(key).load() == {}
        cache.fleet.close()
