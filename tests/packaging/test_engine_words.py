"""Which packages know an engine's words."""

import re

import pytest

from support.checkout import CHECKOUT

WORDS = re.compile(
    r"b[\"'](?:mg|ms|md|ma|mn|get|set|incr|delete|touch|version|stats|VA|HD|EN|NS|STAT) |"
    r"metadump|lru_crawler|flush_all|curr_items|get_hits|limit_maxbytes|SERVER_ERROR|CLIENT_ERROR|11211"
)
FILES = [file for file in (CHECKOUT / "manager/dcache_manager").rglob("*.py") if "demo" not in file.parts]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CHECKOUT)))
def test_the_manager_speaks_no_protocol(file):
    """No module of the manager holds a command, a reply or a statistic of memcached: they are in engines/memcached."""
    assert not WORDS.findall(file.read_text())
