"""Who can reach a node, and what is known of its release."""

import pytest

from django_dcache.engines.memcached.exposure import HOLES, checks
from django_dcache.engines.memcached.introspection import MemcachedReply


def diagnose(version="1.6.44", **settings):
    reply = MemcachedReply(version, {}, {"inter": "127.0.0.1", "domain_socket": "NULL"} | settings)
    return {found.name: found for found in checks(reply)}


@pytest.mark.parametrize(
    ("inter", "verdict"),
    [
        ("127.0.0.1", "ok"),
        ("10.0.0.1:11211", "ok"),
        ("[::1]:11211,10.0.0.1", "ok"),
        ("cache.internal", "ok"),
        ("NULL", "warn"),
        ("0.0.0.0", "warn"),
        ("::", "warn"),
        ("10.0.0.1,8.8.8.8:11211", "warn"),
        ("notls:8.8.8.8:11211", "warn"),
    ],
)
def test_reach(inter, verdict):
    """A node on every interface, or on a public one, is warned of, unless it wants a login."""
    assert diagnose(inter=inter)["reach"].verdict == verdict
    assert diagnose(inter=inter, auth_enabled_ascii="yes")["reach"].verdict == "ok"


def test_a_socket():
    """A node on a Unix socket is reached by nobody else."""
    assert "reach" not in diagnose(inter="NULL", domain_socket="/run/memcached.sock")


@pytest.mark.parametrize(
    ("version", "settings", "known"),
    [
        ("1.6.44", {}, 0),
        ("1.6.18", {}, 1),
        ("1.6.18", {"proxy_enabled": "yes"}, 2),
        ("1.6.43", {}, 0),
        ("1.6.43", {"auth_enabled_ascii": "yes"}, 1),
        ("1.6.40", {"auth_enabled_ascii": "yes"}, 1),
        ("1.7.0", {"proxy_enabled": "yes", "auth_enabled_ascii": "yes"}, 0),
    ],
)
def test_known_holes(version, settings, known):
    """A release is warned of by what is known of it, as far as the node has turned on what it concerns."""
    found = diagnose(version, **settings)["known holes"]
    assert found.verdict == ("warn" if known else "ok")
    assert sum(hole.what in found.detail for hole in HOLES) == known


def test_an_unknown_version():
    """Of what is no version nothing is known."""
    assert "known holes" not in diagnose("nonsense")
