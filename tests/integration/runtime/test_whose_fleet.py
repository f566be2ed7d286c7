"""Two sites on one node, each in a process of its own: whose fleet is found there."""

import json
import subprocess
import sys

import pytest

PATIENT = {"timeout": 3.0, "connect_timeout": 3.0, "request_budget": 10.0}

SITE = """
import json, sys
from django.conf import settings
entry, others = json.loads(sys.argv[1])
settings.configure(CACHES={"default": {"BACKEND": "django_dcache.backend.DistributedCache", **entry}}, **others)
import logging
logging.basicConfig(level=logging.ERROR, stream=sys.stdout)
from django.core.cache import cache
stored = sum(cache.set(f"key-{number}", number) for number in range(50))
print(json.dumps([stored, sorted(cache.fleet.view.state.topology.nodes)]))
"""


def run(location, prefix="", options=None, **settings):
    """How many of 50 keys a site stores, on which nodes, and what its log says."""
    entry = {"LOCATION": location, "KEY_PREFIX": prefix, "OPTIONS": {**PATIENT, **(options or {})}}
    command = [sys.executable, "-c", SITE, json.dumps([entry, {"SECRET_KEY": "k", **settings}])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    *log, answer = done.stdout.strip().splitlines()
    return (*json.loads(answer), "\n".join(log))


def database(host):
    return {"DATABASES": {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "shop", "HOST": host}}}


SITES = [
    pytest.param({"prefix": "staging"}, {"prefix": "prod"}, id="key prefixes"),
    pytest.param(database("db-staging"), database("db-prod"), id="databases"),
    pytest.param({"SECRET_KEY": "one"}, {"SECRET_KEY": "two"}, id="keys"),
]


@pytest.mark.parametrize("shared", [1, 2, 3])
@pytest.mark.parametrize(("staging", "production"), SITES)
def test_two_sites(fleet, staging, production, shared):
    """A site does not run on the fleet of another one whose nodes are among its own, and the log says what to set."""
    addresses = fleet(3).addresses
    assert run(addresses[:shared], **staging)[:2] == (50, sorted(addresses[:shared]))
    stored, nodes, log = run(addresses, **production)
    if shared == 1:  # Two of three nodes are nobody's yet: a majority, which plants the fleet there.
        assert (stored, nodes) == (50, sorted(addresses))
    elif shared == 3 and "SECRET_KEY" not in staging:
        assert (stored, nodes, log) == (50, sorted(addresses), "")
    else:
        assert stored == 0 and 'OPTIONS["fleet"]' in log
    assert run(addresses[:shared], **staging)[:2] == (50, sorted(addresses[:shared]))
    assert run(addresses, **production, options={"fleet": "prod"})[0] == 50


def test_one_site(fleet):
    """A site that changes its nodes, its database or its prefix, one after the other, keeps its fleet."""
    addresses = fleet(3).addresses
    assert run(addresses[:2], **database("db1"))[:2] == (50, sorted(addresses[:2]))
    for location, host, prefix in ((addresses, "db1", ""), (addresses, "db2", "r2"), (addresses[1:], "db2", "r3")):
        assert run(location, prefix, **database(host)) == (50, sorted(addresses[:2]), "")


def test_a_site_that_changed_at_once(fleet):
    """A site whose database and nodes changed at the same time goes on where it confirms the name of its fleet."""
    addresses = fleet(2).addresses
    run(addresses, **database("db1"))
    assert run(addresses[:1], **database("db2"))[0] == 0
    confirmed = run(addresses[:1], **database("db2"), options={"fleet": "default"})
    assert confirmed == (50, sorted(addresses), "")
