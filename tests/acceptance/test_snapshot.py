"""`dcache-admin warm dump` and `warm load`, as processes: killed, and given files that are none."""

import json

import pytest

from django_dcache.testing import LocalFleet
from support.command_line import Console
from support.waiting import until

ITEMS = 9000


@pytest.fixture(scope="module")
def fleet():
    """Two nodes. Every test begins by restarting them."""
    with LocalFleet(2) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def console(fleet, tmp_path_factory):
    """A console in a project on them, with a snapshot of three frames that was dumped from its cache."""
    console = Console(tmp_path_factory.mktemp("project"), fleet.addresses)
    settings = console.folder / "project.py"
    settings.write_text(settings.read_text().replace('"timeout": 0.2', '"timeout": 3.0'))
    console.cache(f"cache.set_many({{f'k{{i}}': i for i in range({ITEMS})}}, 500)")
    answer = console.ask("warm", "dump", "hot.snapshot", "-c", "fleet")
    assert answer["schema"] == "dcache.warm_dump/v1" and answer["items"][0]["items"] == ITEMS
    return console


def values(fleet):
    """How many of the cache's items the nodes hold."""
    return sum(key.startswith(b"shop:") for node in fleet.nodes for key in node.items())


def restart(fleet):
    for node in fleet.nodes:
        node.restart()


def test_killed_half_way(fleet, console):
    """A load that was killed goes on where it was, and says so; nothing is missing then. The next one begins anew."""
    restart(fleet)
    with console.start("warm", "load", "hot.snapshot", "-c", "fleet", "--max-rate", 3000) as load:
        state = console.folder / "state" / "dcache"
        assert until(
            lambda: state.exists() and any(b'"next": 0' not in file.read_bytes() for file in state.rglob("*.load"))
        )
        load.kill()
    assert 4000 < values(fleet) < ITEMS
    stdout, stderr = console.streams("warm", "load", "hot.snapshot", "-c", "fleet", "--json")
    (item,) = json.loads(stdout)["items"]
    assert "Resuming an interrupted load" in stderr and item["resumed"] >= 1
    assert item["stored"] + item["present"] == ITEMS - 4096 * item["resumed"]
    assert values(fleet) == ITEMS
    (item,) = console.ask("warm", "load", "hot.snapshot", "-c", "fleet")["items"]
    assert (item["present"], item["stored"], item["resumed"]) == (ITEMS, 0, 0)


def test_from_the_beginning(fleet, console):
    """What an earlier load left is not trusted once a node has restarted; nor when nobody wants it to be."""
    restart(fleet)
    digest = (console.folder / "hot.snapshot").read_bytes()[-32:].hex()
    (project,) = (console.folder / "state" / "dcache").iterdir()
    mark = project / f"fleet.{digest[:32]}.load"
    for began, options, outcome in ((0, (), "stored"), (2**33, ("--restart",), "present")):
        mark.write_text(f'{{"next": 2, "again": [], "began": {began}}}')
        (item,) = console.ask("warm", "load", "hot.snapshot", "-c", "fleet", *options)["items"]
        assert (item[outcome], item["resumed"]) == (ITEMS, 0)


def test_refused_files(fleet, console):
    """A file that was truncated or altered, or is another fleet's, is refused before anything is sent to a node."""
    restart(fleet)
    path = console.folder / "hot.snapshot"
    whole = path.read_bytes()
    damaged = {
        "truncated": whole[: len(whole) // 2],
        "altered": whole[: len(whole) // 2] + b"?" + whole[len(whole) // 2 + 1 :],
    }
    for word, data in damaged.items():
        path.write_bytes(data)
        stdout, stderr = console.streams("warm", "load", "hot.snapshot", "-c", "fleet", code=1)
        assert word in stderr and "nothing was sent" in stderr and not stdout
    settings = console.folder / "project.py"
    ours = settings.read_text()
    settings.write_text(ours.replace('"fleet": "fleet"', '"fleet": "other"'))
    path.write_bytes(whole)
    assert "fleet 'fleet'" in console.streams("warm", "load", "hot.snapshot", "-c", "fleet", code=2)[1]
    settings.write_text(ours)
    assert values(fleet) == 0 and all(node.stats()["cmd_set"] == "0" for node in fleet.nodes)


def test_a_node_that_is_away(fleet, console):
    """A dump without one of the nodes ends with 3 and names it; without any, the file stays as it was."""
    restart(fleet)
    before = (console.folder / "hot.snapshot").read_bytes()
    fleet.nodes[0].kill()
    answer = console.ask("warm", "dump", "part.snapshot", "-c", "fleet", code=3)
    assert [error["node"] for error in answer["errors"]] == [fleet.nodes[0].address]
    fleet.nodes[1].kill()
    console.run("warm", "dump", "hot.snapshot", "-c", "fleet", code=4)
    assert (console.folder / "hot.snapshot").read_bytes() == before
    assert {path.name for path in console.folder.glob("*snapshot*")} == {"hot.snapshot", "part.snapshot"}
