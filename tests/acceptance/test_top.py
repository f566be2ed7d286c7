"""dcache-admin top, on real nodes under load."""

import json
import threading

import pytest

from django_dcache.testing import ScriptedNode
from support.command_line import interrupt

LOAD = """
import sys
while True:
    for n in range(50):
        for _ in range(10):
            cache.get("hot")
        cache.get(f"k{n}")
        cache.get(f"absent{n}")
    print("round", flush=True)
"""


@pytest.fixture
def busy(console):
    """The console of a site that reads, one key far more often than others."""
    console.cache("cache.set('hot', 1)")
    source = f"import django; django.setup()\nfrom django.core.cache import caches\ncache = caches['fleet']\n{LOAD}"
    with console.program(source) as site:
        site.stdout.readline()
        assert "round" in site.stdout.readline()
        reader = threading.Thread(target=lambda: [None for _ in site.stdout], daemon=True)
        reader.start()
        yield console
        site.kill()


def test_once(busy, fleet):
    """Each node has its rates and its hit ratio of this moment; the hottest key comes first, with its node."""
    answer = busy.ask("top", "--once", "--every", "1")
    assert answer["schema"] == "dcache.top/v1" and [item["name"] for item in answer["items"]] == fleet.addresses
    assert sum(item["operations_rate"] for item in answer["items"]) > 100
    assert all(0 <= item["hit_ratio"] <= 1 for item in answer["items"] if item["hit_ratio"] is not None)
    hottest, *others = answer["hot_keys"]
    assert hottest["key"].endswith(":hot") and hottest["rate"] > max(key["rate"] for key in others)
    assert answer["sample"] is True and len(answer["hot_keys"]) == 10


def test_tables(busy, fleet):
    """People get a title, a table of nodes and one of keys; without keys no node is watched."""
    said = busy.run("top", "--once", "--every", "1", "--keys", "3").splitlines()
    assert "operations/s" in said[0] and "% hits" in said[0]
    assert said[1].split()[:4] == ["STATE", "NAME", "ADDRESS", "OPS/S"]
    assert said[5] == "Asked for most, by a sample:" and len(said) == 10
    assert len(busy.run("top", "--once", "--every", "0.2", "--keys", "0").splitlines()) == 5


def test_again_and_again(console):
    """Until Ctrl-C there is an answer after each interval; one object a line with --json."""
    with console.start("top", "--json", "--every", "0.2") as process:
        answers = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert interrupt(process) == 0
    assert all(answer["schema"] == "dcache.top/v1" for answer in answers)


def test_on_a_terminal(console):
    """On a terminal of 80 columns the screen is redrawn, with a line for each node."""
    screen, code = console.converse("top", "--once", "--every", "0.2", until="\0", answer=None, columns=80)
    assert code == 0 and screen.count("127.0.0.1:") >= 3


def test_keys_that_are_hidden(busy):
    """With redact_keys a mark stands in for each key."""
    project = busy.folder / "project.py"
    project.write_text(project.read_text().replace('"fleet": "fleet"}', '"fleet": "fleet", "redact_keys": True}'))
    keys = [key["key"] for key in busy.ask("top", "--once", "--every", "1")["hot_keys"]]
    assert keys and not any("hot" in key or ":k" in key for key in keys)


def hostile(command, number):
    if command == b"watch fetchers":
        return b"OK\r\nts=1 gid=1 type=item_get key=a%1B[2Jb status=found clsid=1 cfd=1 size=1\n"
    return {b"stats": b"STAT uptime 5\r\nSTAT get_hits 1\r\nEND\r\n", b"stats settings": b"END\r\n"}.get(
        command, b"VERSION 1.6.18\r\n" if command == b"version" else b"END\r\n"
    )


def test_a_key_that_moves_the_cursor(bare):
    """What a node says was read is shown, and never sent to the terminal as it is."""
    with ScriptedNode(hostile) as node:
        said, beside = bare.streams("top", "--once", "--every", "0.5", "--nodes", node.address)
    assert "\x1b" not in said + beside
