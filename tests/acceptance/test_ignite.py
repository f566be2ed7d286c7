"""dcache-admin on Apache Ignite, as a process: what an operator does on memcached is done here in the same words."""

import json

import pytest

from django_dcache.engines.ignite.items import STUB, unpack
from django_dcache.model.addresses import CACHE
from django_dcache.model.keys import parse_wire_key
from django_dcache.testing import LocalFleet
from support.command_line import Console
from support.ignite import needs_ignite
from support.transcripts import steps

ITEMS = 300
WANTED = f"{{f'k{{i}}': i if i % 3 else f'text {{i}}' for i in range({ITEMS})}}"
FILL = f"cache.set_many({WANTED}, 1000); cache.set('ever', 1, None); cache.incr('k1', 5); cache.decr('k1', 5)"
READ = f"wanted = {WANTED}; print(cache.get_many(wanted) == wanted)"
PAGE = """
import json
from dcache_manager.dashboard.overview import shown
from dcache_manager.inspection.fleet_report import look_closely
from dcache_manager.inspection.target import of_alias
print(json.dumps(shown(look_closely(of_alias("fleet"), 10.0), {}), default=str))
"""
HOT = """
from dcache_manager.errors import NotPossible
from dcache_manager.warming.hot import find_hot
try:
    find_hot([], "fleet", 10)
except NotPossible as error:
    print(error)
"""
INVALIDATED = "print(cache.get('k1'), cache.get('k2'))"


@pytest.fixture(scope="module")
def servers():
    """Two nodes that serve, and one that does not yet: to start one takes seconds."""
    needs_ignite()
    with LocalFleet(3, "ignite") as fleet:
        yield fleet


@pytest.fixture
def console(servers, tmp_path):
    """A console in a project on two of them, whose cache has been used."""
    for node in servers.nodes:
        node.clear()
    console = Console(tmp_path, servers.addresses[:2])
    settings = tmp_path / "project.py"
    # Java takes its time over what it does for the first time.
    settings.write_text(settings.read_text().replace('"timeout": 0.2', '"timeout": 1.0, "connect_timeout": 5.0'))
    console.cache(FILL)
    return console


def values(servers: LocalFleet) -> dict[tuple[bytes, str], int]:
    """Every item of the cache: its name, where it lies, and when it ends; 0: never."""
    found = {(parse_wire_key(key), node.name): stored for node in servers.nodes for key, stored in node.items().items()}
    return {
        (parsed[0], node): unpack(stored).ends
        for (parsed, node), stored in found.items()
        if parsed and parsed[0][:5] == b"shop:" and stored[0] != STUB
    }


def test_looking(console, servers):
    """status, ring, verify and doctor tell of Ignite what they tell of memcached, as far as it tells it to clients."""
    answer = console.ask("status")
    assert [item["address"] for item in answer["items"]] == servers.addresses[:2]
    assert all(item["state"] == "up" and item["version"].startswith("2.") for item in answer["items"])
    assert sum(item["items"] for item in answer["items"]) == ITEMS + 1 + 2 + 2  # the state, and the mark of each node
    assert all(item["bytes"] is item["hits"] is item["evictions"] is None for item in answer["items"])
    assert len(console.ask("ring", "show")["items"]) == 2
    verified = console.ask("verify")["items"][0]
    assert (verified["keys"], verified["clean"]) == (ITEMS + 1, True)
    warned = {item["check"] for item in console.ask("doctor")["items"] if item["verdict"] != "ok"}
    assert warned == {"clock", "three nodes"}, "what it does not tell, and what is so with two nodes"


def test_resize(console, servers):
    """2 → 3, with a second copy of each key, → 2: every value, every TTL, and no copy where it does not belong. Then a
    node is taken out of service and back, and every value is read meanwhile; each of these was a job."""
    replicas = 2
    before = {key: ends for (key, _), ends in values(servers).items()}
    added = servers.nodes[2]
    console.run("rebalance", "run", "--yes", "--add", added.address, "--replicas", replicas)
    there = values(servers)
    assert len(there) == replicas * (ITEMS + 1) and any(node == added.name for _, node in there)
    console.run("rebalance", "run", "--yes", "--remove", added.name)
    there = values(servers)
    assert len(there) == replicas * (ITEMS + 1) and not any(node == added.name for _, node in there)
    for (key, _), ends in there.items():
        assert (ends == 0) if before[key] == 0 else abs(ends - before[key]) < 1000
    assert console.cache(READ).endswith("True\n")
    name = servers.nodes[0].name
    for verb, state in ("down", "out"), ("up", "up"):
        console.run("node", verb, name, "--yes")
        assert {item["name"]: item["state"] for item in console.ask("status")["items"]}[name] == state
        assert console.cache(READ).endswith("True\n")
    assert {item["state"] for item in console.ask("jobs", "list")["items"]} == {"done"}


def test_dashboard(console, servers):
    """The dashboard's first page has of Ignite's nodes what they tell, and nothing where they tell nothing."""
    page = json.loads(console.cache(PAGE))
    assert page["up"] == 2 and len(page["rings"]) == 1 and not page["errors"]
    for node in page["nodes"]:
        assert node["state"] == "up" and node["items"].isdigit() and node["version"].startswith("2.")
        assert node["memory"] == node["hits"] == node["evictions"] == ""


def test_nothing_is_hot(console):
    """Nodes do not tell when a key was read, so `warm hot` says that it can't be known, and what to do instead."""
    assert "use `warm run`" in console.cache(HOT)


def test_howto(console, servers):
    """Every command of the how-to works, in order."""
    commands = [command for command, _ in steps("docs/howto/ignite.md")]
    assert len(commands) == 4
    for command in commands:
        _, *words = command.split()
        known = {f"ignite://10.0.0.3/{CACHE}": servers.addresses[2], "10.0.0.3": servers.nodes[2].name}
        console.run(*[known.get(word, word) for word in words])
    assert console.cache(READ).endswith("True\n")


def test_dump_load_and_invalidate(console, servers):
    """A snapshot of one fleet fills an empty one; what is invalidated is gone."""
    before = {key: ends for (key, _), ends in values(servers).items()}
    assert console.ask("warm", "dump", "hot.snapshot")["items"][0]["items"] == ITEMS + 1
    for node in servers.nodes:
        node.clear()
    (item,) = console.ask("warm", "load", "hot.snapshot")["items"]
    assert (item["stored"], item["present"], item["refused"], item["failed"]) == (ITEMS + 1, 0, 0, 0)
    after = {key: ends for (key, _), ends in values(servers).items()}
    assert after.keys() == before.keys() and all((after[key] == 0) == (before[key] == 0) for key in before)
    (item,) = console.ask("warm", "load", "hot.snapshot")["items"]
    assert (item["stored"], item["present"]) == (0, ITEMS + 1)
    console.run("invalidate", "key", "k1", "--yes")
    assert console.cache(INVALIDATED).endswith("None 2\n")
