"""dcache-admin node down, node up, verify and autopilot, as an operator uses them."""

import pytest

from support.command_line import Console


@pytest.fixture
def console(fleet, tmp_path):
    """A console in a project on them, whose cache has been used."""
    console = Console(tmp_path, fleet.addresses)
    console.cache("cache.set_many({f'k{i}': i for i in range(300)})")
    return console


def test_a_node_is_taken_out_and_brought_back(console, fleet):
    """`node down` makes it state `out`, `node up` makes it state `up` again; each is one more epoch or more."""
    gone = fleet.addresses[1]
    fleet.nodes[1].kill()
    assert console.ask("node", "down", gone, "--yes")["items"][0]["state"] == "done"
    fleet.nodes[1].restart()
    states = {item["name"]: item["state"] for item in console.ask("status")["items"]}
    assert "out" == states[gone]
    console.run("node", "up", gone, "--yes")
    answer = console.ask("status")
    assert {"up"} == {item["state"] for item in answer["items"]}
    assert ("stable", True) == (answer["phase"], answer["epoch"] > 2)


def test_verify_answers_with_its_findings(console):
    """A healthy fleet is clean: every key counted, exit 0."""
    (found,) = console.ask("verify")["items"]
    assert (300, 300, True) == (found["keys"], found["copies"], found["clean"])


def test_verify_finds_a_stray(console, fleet):
    """A copy where it does not belong is exit 3, and gone after --repair."""
    located = console.ask("ring", "locate", "k1")["items"][0]
    stranger = next(node for node in fleet.nodes if node.address != located["address"])
    stranger.ask(b"ms %b 1\r\n1\r\nmn\r\n" % located["made_key"].encode())
    console.run("verify", code=3)
    console.run("verify", "--repair", "--yes")
    console.run("verify")


def test_one_copy_of_each_key(console, fleet):
    """With one copy `node down` says that the next nodes serve the share, and they do: each key can be stored."""
    gone = fleet.addresses[1]
    fleet.nodes[1].kill()
    assert "the next nodes on the ring" in console.streams("node", "down", gone, "--yes")[1]
    # Nothing is stored under its new names until every process knows them.
    console.cache("while any([not cache.set(f'new{i}', i) for i in range(300)]): pass")
    fleet.nodes[1].restart()
    assert "the nodes that served its share" in console.streams("node", "up", gone, "--yes")[1]
    assert console.cache("print(len(cache.get_many([f'new{i}' for i in range(300)])))").strip().endswith("300")


def test_autopilot_leaves_a_healthy_fleet_alone(console):
    """A look at nodes that all answer does nothing and says nothing."""
    assert "" == console.run("autopilot", "--looks", "1")
