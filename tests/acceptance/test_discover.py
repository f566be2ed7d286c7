"""dcache-admin autopilot --discover, as an operator uses it."""

import json

import pytest


@pytest.fixture
def follow(console, fleet):
    """What the autopilot says that reads these nodes, by name, in a file: `follow({"d": address}, looks=2)`."""

    def follow(nodes, *options, looks=2, code=0):
        file = console.folder / "nodes.json"
        listed = [{"name": name, "address": address} for name, address in nodes.items()]
        file.write_text(json.dumps({"nodes": listed}))
        source = ["--discover", f"file:{file}", "--reads", "2", "--every", "0.1", "--looks", str(looks)]
        return console.run("autopilot", *source, *options, code=code).splitlines()

    return follow


@pytest.fixture
def names(console):
    """The fleet's nodes and their addresses, by a look of the moment."""
    return lambda: {item["name"]: item["address"] for item in console.ask("status")["items"]}


def test_nodes_join_move_and_leave(follow, fleet, names):
    """A name that is new joins, one with another address moves, one that is gone leaves; each is said."""
    layout = names()
    layout["d"] = fleet.add().address
    first, *others = list(layout)
    news = "the source says something new: it counts once 2 reads in a row were equal"
    assert follow(layout) == [news, f"add d ({layout['d']}, weight 1)"]
    assert names() == layout
    old, layout[first] = layout[first], fleet.add().address
    fleet.nodes[0].kill()
    assert follow(layout)[1:] == [f"{first}: address {old!r} becomes {layout[first]!r}"]
    assert names() == layout
    del layout[others[0]]
    assert follow(layout)[1:] == [f"remove {others[0]}"]
    assert names() == layout
    assert follow({}) == ["the source names no node: nothing is changed"]
    assert names() == layout


def test_dry_run(follow, fleet, names):
    """It says what it would do, and what it would wait for, and does nothing."""
    before = names()
    layout = before | {"d": fleet.add().address}
    assert follow(layout, "--dry-run", looks=4)[1:] == [f"would do: add d ({layout['d']}, weight 1)"]
    assert names() == before


def test_window(follow, fleet, names):
    """Outside of its window it says what it waits for, once."""
    before = names()
    said = follow(before | {"d": fleet.add().address}, "--window", "00:00-00:00", looks=4)
    assert said[1:] == ["d: waits for the window 00:00-00:00"] and names() == before


def test_no_source(console):
    """A source that can't be is refused before a node is asked."""
    _, said = console.streams("autopilot", "--discover", "fiel:nodes.json", code=2)
    assert "did you mean 'file'?" in said


def test_location_names_another_address(console, fleet, names):
    """`rebalance run` makes of the fleet what LOCATION says, also where a dead node is elsewhere by now."""
    first, *others = list(fleet.addresses)
    new = fleet.add().address
    fleet.nodes[0].kill()
    project = console.folder / "project.py"
    location = [{"name": first, "address": new}, *others]
    project.write_text(project.read_text().replace(repr(fleet.addresses[:3]), repr(location)))
    said = console.ask("rebalance", "run", "--yes")["items"][0]
    assert said["changes"] == [f"{first}: address {first!r} becomes {new!r}"]
    assert names() == {first: new} | {address: address for address in others[:2]}
