"""The session engine, with and without nodes."""

import asyncio
from time import monotonic

import pytest
from django.contrib.sessions.backends import cache as django_sessions
from django.test import override_settings

from django_dcache.sessions import SECONDS, SessionNotStored, SessionStore

OPTIONS = {"replicas": 2, "request_budget": 0.5, "timeout": 0.5, "connect_timeout": 5.0}


@pytest.fixture
def nodes(fleet):
    nodes = fleet(3)
    entry = {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": nodes.addresses, "OPTIONS": OPTIONS}
    with override_settings(CACHES={"default": entry}):
        yield nodes.nodes


def create(session, road):
    session["user"] = 1
    session.create() if road == "sync" else asyncio.run(session.acreate())


@pytest.mark.parametrize("road", ["sync", "async"])
def test_a_session(nodes, road):
    """A session that was created is there, for Django's own engine too."""
    session = SessionStore()
    create(session, road)
    for engine in (SessionStore, django_sessions.SessionStore):
        assert engine(session.session_key)["user"] == 1
    session.cycle_key()
    assert SessionStore(session.session_key)["user"] == 1


@pytest.mark.parametrize("road", ["sync", "async"])
def test_no_nodes(nodes, road):
    """With all nodes away a new session fails within a second and the request budget, and reading one is a miss."""
    session = SessionStore()
    create(session, road)
    for node in nodes:
        node.kill()
    began = monotonic()
    assert SessionStore(session.session_key).get("user") is None
    with pytest.raises(SessionNotStored, match="cached_db"):
        create(SessionStore(), road)
    assert monotonic() - began < SECONDS + OPTIONS["request_budget"] + 1.0


@pytest.mark.parametrize("away", ["kill", "freeze"])
def test_one_node(nodes, away):
    """With one node of three away each new session is stored."""
    create(SessionStore(), "sync")
    getattr(nodes[0], away)()
    for _ in range(30):
        create(SessionStore(), "sync")
