"""dcache-admin on Redis, as a process: what an operator does on memcached is done here in the same words."""

import pytest

from django_dcache.model.keys import parse_wire_key
from django_dcache.testing import LocalFleet
from support.command_line import Console

ITEMS = 600
WANTED = f"{{f'k{{i}}': i if i % 3 else f'text {{i}}' for i in range({ITEMS})}}"
FILL = f"cache.set_many({WANTED}, 1000); cache.set('ever', 1, None)"
READ = f"wanted = {WANTED}; print(cache.get_many(wanted) == wanted)"


@pytest.fixture
def fleet():
    """Three nodes."""
    with LocalFleet(3, "redis") as fleet:
        yield fleet


@pytest.fixture
def console(fleet, tmp_path):
    """A console in a project on them, whose cache has been used."""
    console = Console(tmp_path, fleet.addresses)
    console.cache(FILL)
    return console


def values(fleet):
    """Every item of the cache: its name, where it lies, and how many seconds it has left."""
    found = {(parse_wire_key(key), node.name): left for node in fleet.nodes for key, left in node.items().items()}
    return {(parsed[0], node): left for (parsed, node), left in found.items() if parsed and parsed[0][:5] == b"shop:"}


def test_looking(console, fleet):
    """status, ring, node, verify and doctor tell of Redis what they tell of memcached."""
    answer = console.ask("status")
    assert [item["address"] for item in answer["items"]] == fleet.addresses
    assert all(item["state"] == "up" and item["version"][0].isdigit() for item in answer["items"])
    assert sum(item["items"] for item in answer["items"]) == ITEMS + 1 + 3 + 3  # the state, and the mark of each node
    assert all(item["limit_bytes"] == 64 * 2**20 and item["bytes"] for item in answer["items"])
    assert [item["address"] for item in console.ask("ring", "show")["items"]] == fleet.addresses
    verified = console.ask("verify")["items"][0]
    assert (verified["keys"], verified["clean"]) == (ITEMS + 1, True)
    findings = console.ask("doctor")["items"]
    assert {item["verdict"] for item in findings} == {"ok"}


@pytest.mark.parametrize("replicas", [1, 2])
def test_resize(console, fleet, replicas):
    """3 → 4 → 3: every value, every TTL to the second, and no copy where it does not belong."""
    if replicas == 2:
        console.run("rebalance", "run", "--yes", "--replicas", 2)
    before = {key: left for (key, _), left in values(fleet).items()}
    added = fleet.add()
    console.run("rebalance", "run", "--yes", "--add", added.address)
    there = values(fleet)
    assert len(there) == replicas * (ITEMS + 1) and any(node == added.name for _, node in there)
    console.run("rebalance", "run", "--yes", "--remove", added.name)
    there = values(fleet)
    assert len(there) == replicas * (ITEMS + 1) and not any(node == added.name for _, node in there)
    for (key, _), left in there.items():
        assert (left == before[key] == -1) if before[key] == -1 else before[key] - 120 < left <= before[key]
    assert console.cache(READ).endswith("True\n")


def test_dump_and_load(console, fleet):
    """A snapshot of one fleet fills an empty one: every value, and every TTL that is left."""
    before = {key: left for (key, _), left in values(fleet).items()}
    assert console.ask("warm", "dump", "hot.snapshot")["items"][0]["items"] == ITEMS + 1
    for node in fleet.nodes:
        node.restart()
    (item,) = console.ask("warm", "load", "hot.snapshot")["items"]
    assert (item["stored"], item["present"], item["refused"], item["failed"]) == (ITEMS + 1, 0, 0, 0)
    after = {key: left for (key, _), left in values(fleet).items()}
    assert after.keys() == before.keys()
    assert all((after[key] == -1) == (before[key] == -1) and after[key] <= before[key] + 2 for key in before)
    (item,) = console.ask("warm", "load", "hot.snapshot")["items"]
    assert (item["stored"], item["present"]) == (0, ITEMS + 1)
