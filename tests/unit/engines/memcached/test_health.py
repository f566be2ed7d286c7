"""What is made of what a node says of itself."""

import pytest

from django_dcache.engines.memcached.health import checks
from django_dcache.engines.memcached.introspection import MemcachedReply

SOUND_STATS = {
    "evictions": "0",
    "bytes": "10",
    "limit_maxbytes": "67108864",
    "curr_connections": "5",
    "listen_disabled_num": "0",
}
SOUND_SETTINGS = {
    "udpport": "0",
    "dump_enabled": "yes",
    "lru_crawler": "yes",
    "cas_enabled": "yes",
    "evictions": "on",
    "maxconns": "1024",
}


def diagnose(version="1.6.18", stats=None, settings=None):
    """{check: verdict} of a sound node, with these differences; a wrong one also has something to do about it."""
    reply = MemcachedReply(version, SOUND_STATS | (stats or {}), SOUND_SETTINGS | (settings or {}))
    return {found.name: found.verdict for found in checks(reply)}


def test_sound_node():
    """Every check of a sound node is ok."""
    assert set(diagnose().values()) == {"ok"}


@pytest.mark.parametrize(
    ("differences", "check", "verdict"),
    [
        ({"version": "1.6.17"}, "version", "fail"),
        ({"version": "1.5.22"}, "version", "fail"),
        ({"version": "1.6.42"}, "version", "ok"),
        ({"version": "2.0.0-beta"}, "version", "ok"),
        ({"version": "nonsense"}, "version", "warn"),
        ({"settings": {"udpport": "11211"}}, "UDP off", "fail"),
        ({"settings": {"dump_enabled": "no"}}, "lists keys", "warn"),
        ({"settings": {"lru_crawler": "no"}}, "lists keys", "warn"),
        ({"settings": {"cas_enabled": "no"}}, "CAS", "fail"),
        ({"settings": {"evictions": "off"}}, "evictions", "warn"),
        ({"stats": {"evictions": "12"}}, "evictions", "warn"),
        ({"stats": {"bytes": "67000000"}}, "memory", "warn"),
        ({"stats": {"curr_connections": "1000"}}, "connections", "warn"),
        ({"stats": {"listen_disabled_num": "1"}}, "connections", "warn"),
    ],
)
def test_what_is_wrong_with_a_node(differences, check, verdict):
    """One thing that is wrong is one finding that is not ok; nothing else changes."""
    assert diagnose(**differences) == diagnose() | {check: verdict}


@pytest.mark.parametrize("field", [*SOUND_STATS, *SOUND_SETTINGS])
@pytest.mark.parametrize("word", ["", "nonsense", "-1", "9" * 30])
def test_nonsense_breaks_nothing(field, word):
    """Whatever a node puts in place of a number or a word, every other check goes on."""
    found = diagnose(stats={field: word} if field in SOUND_STATS else {}, settings={field: word})
    assert found["version"] == "ok"
