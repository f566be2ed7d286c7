"""Which packages know an engine's words."""

import re

import pytest

from support.checkout import CHECKOUT

MEMCACHED = (
    r"b[\"'](?:mg|ms|md|ma|mn|get|set|incr|delete|touch|version|stats|VA|HD|EN|NS|STAT) |"
    r"metadump|lru_crawler|flush_all|curr_items|get_hits|limit_maxbytes|SERVER_ERROR|CLIENT_ERROR"
)
REDIS = r"EVAL|INCRBY|FLUSHDB|FLUSHALL|PEXPIRE|PERSIST|keyspace_hits|maxmemory|READONLY|LOADING|NOSCRIPT|redis\.call"
WORDS = re.compile(f"{MEMCACHED}|{REDIS}")
BY_NAME = re.compile(r"engines[. ](?:import )?(?:memcached|redis|ignite|memory)\b")
APART = {"engines", "testing", "demo", "local_servers.py"}
FILES = [
    file
    for package in ("django_dcache", "manager/dcache_manager")
    for file in sorted((CHECKOUT / package).rglob("*.py"))
    if APART.isdisjoint(file.parts)
]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CHECKOUT)))
def test_engines_are_spoken_by_themselves_only(file):
    """Outside of engines/ no module holds a command, a reply or a statistic of an engine, or imports one by its name;
    what starts or fakes nodes, for tests and for the demo, knows what it starts."""
    text = file.read_text()
    assert not WORDS.findall(text) and not BY_NAME.findall(text)
