"""dcache-admin on real nodes, run as a process: what changes a fleet, and what it refuses."""

import pytest

from support.command_line import Console, interrupt, read_until


def values(node):
    """How many of the cache's items a node holds."""
    return sum(key.startswith(b"shop:") for key in node.items())


# Refusing


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"],
        ["status", "--bogus"],
        ["status"],
        ["status", "--settings", "no_such_project"],
        ["status", "--nodes", "not an address"],
        ["rebalance", "plan", "--nodes", "127.0.0.1:9"],
    ],
)
def test_usage(bare, arguments):
    """A command line that can't be used is exit 2 or, if it is well-formed and nobody answers, exit 4."""
    bare.run(*arguments, code=4 if "plan" in arguments else 2)


def test_changing_needs_a_project(bare, fleet):
    """How long clients take to learn of an epoch is in the project's OPTIONS, so nothing is changed without it."""
    bare.run("node", "add", "127.0.0.1:9", "--nodes", ",".join(fleet.addresses), "--yes", code=2)


def test_another_backend(console):
    """A cache alias of another backend is refused with the name of ours."""
    assert "DistributedCache" in console.streams("status", "-c", "default", code=2)[1]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["rebalance", "--add", "127.0.0.1:9"], 6),
        (["rebalance", "--add", "127.0.0.1:9", "--yes"], 1),
        (["rebalance", "--add", "127.0.0.1:9", "--yes", "--expect-epoch", "7"], 5),
        (["rebalance", "--add", "127.0.0.1:0", "--yes"], 2),
        (["rebalance", "--add", "127.0.0.1:9", "--yes", "--runner", "celery"], 2),
        (["rebalance", "--weight", "nobody=2", "--yes"], 2),
        (["rebalance", "--weight", "nonsense", "--yes"], 2),
        (["node", "drain", "nobody", "--yes"], 2),
    ],
)
def test_refused_changes_change_nothing(console, arguments, code):
    """Not confirmed, unreachable, moved on or impossible: each has its exit code, and the fleet stays as it is."""
    console.run(*arguments, code=code)
    answer = console.ask("status")
    assert (answer["epoch"], answer["phase"], len(answer["items"])) == (1, "stable", 3)


def test_one_conductor(console, fleet):
    """While one conductor is at work a second is refused with exit 5."""
    console.run("status")
    added = fleet.add()
    with console.start("rebalance", "--add", added.address, "--yes", "--max-rate", "2") as first:
        read_until(first, "copy")
        console.run("rebalance", "--replicas", "2", "--yes", code=5)
        assert interrupt(first) == 130


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 6)])
def test_asked_on_a_terminal(console, fleet, answer, code):
    """On a terminal the plan is shown and the question asked, and yes is an answer."""
    said, ended = console.converse("node", "weight", fleet.addresses[0], "2", until="[y/N]", answer=answer)
    assert "weight 1 becomes 2" in said
    assert ended == code
    assert console.ask("status")["items"][0]["weight"] == (2 if answer == "y" else 1)


# Changing


def test_plan(console, fleet):
    """A plan says who will own what, and only with --exit-code does it end with 10."""
    answer = console.ask("rebalance", "plan", "--add", "127.0.0.1:9", "--exit-code", code=10)
    assert answer["changes"] == ["add 127.0.0.1:9 (127.0.0.1:9, weight 1)"]
    assert 0 < answer["moved_share"] < 0.5
    assert [item["owns_before"] for item in answer["items"]][-1] == 0
    assert console.ask("ring", "diff", "--add", "127.0.0.1:9")["items"] == answer["items"]
    assert console.ask("rebalance", "plan", "--exit-code")["changes"] == []
    assert "add 127.0.0.1:9" in console.run("node", "add", "127.0.0.1:9", "--dry-run")


def test_add_and_drain(console, fleet):
    """A node joins with its share of the keys, LOCATION then differs, and draining the node brings all keys back."""
    added = fleet.add()
    done = console.ask("node", "add", f"fourth={added.address}", "--yes")
    assert (done["phase"], done["items"][0]["state"]) == ("stable", "done")
    assert [item["name"] for item in console.ask("node", "list")["items"]] == [*fleet.addresses[:3], "fourth"]
    assert values(added) == done["items"][0]["moved"] > 0
    console.run("rebalance", "plan", "--exit-code", code=10)
    assert "nothing to do" in console.streams("node", "add", f"fourth={added.address}", "--yes")[1].lower()
    console.run("node", "drain", added.address, "--yes")
    assert values(added) == 0
    assert console.cache("print(len(cache.get_many([f'k{i}' for i in range(600)])))").strip() == "600"


def test_rebalance_makes_it_what_location_says(fleet, tmp_path):
    """Bare `rebalance` makes the fleet what LOCATION says, and a second time there is nothing to do."""
    before = Console(tmp_path, fleet.addresses[:2])
    before.cache("cache.set_many({f'k{i}': i for i in range(300)})")
    console = Console(tmp_path, fleet.addresses)
    assert [item["address"] for item in console.ask("node", "list")["items"]] == fleet.addresses[:2]
    console.run("rebalance", "--yes")
    assert [item["address"] for item in console.ask("node", "list")["items"]] == fleet.addresses
    assert console.streams("rebalance")[1].endswith("Nothing to do: the fleet is as it should be.\n")


def test_weight(console, fleet):
    """A node's new weight is its new share."""
    console.run("node", "weight", fleet.addresses[0], 3, "--yes")
    items = console.ask("ring", "show")["items"]
    assert [item["weight"] for item in items] == [3, 1, 1]
    assert items[0]["owns"] > 0.5


def test_dead_nodes_are_removed_not_drained(console, fleet):
    """A node that does not answer can't be drained; it can be removed, and the plan says what that costs."""
    fleet.nodes[2].kill()
    console.run("node", "drain", fleet.addresses[2], "--yes", code=1)
    assert "is lost" in console.streams("node", "remove", fleet.addresses[2], code=6)[1]
    console.run("node", "remove", fleet.addresses[2], "--yes")
    assert [item["address"] for item in console.ask("status")["items"]] == fleet.addresses[:2]


def test_interrupted_and_resumed(console, fleet):
    """An interrupted resize is exit 130, shows as interrupted with exit 3, and the next run goes on with it."""
    added = fleet.add()
    with console.start("rebalance", "--add", added.address, "--yes", "--max-rate", "2") as process:
        read_until(process, "copy")
        assert interrupt(process) == 130
    assert console.ask("rebalance", "status", code=3)["items"][0]["state"] == "interrupted"
    assert "interrupted in phase" in console.run("doctor")
    console.run("rebalance", "--add", added.address, "--yes")
    assert console.ask("rebalance", "status")["items"][0]["state"] == "done"
    assert len(console.ask("status")["items"]) == 4


def test_interrupted_and_cancelled(console, fleet):
    """A resize whose conductor is gone can be cancelled: the fleet is as it was."""
    added = fleet.add()
    with console.start("rebalance", "--add", added.address, "--yes", "--max-rate", "2") as process:
        read_until(process, "copy")
        assert interrupt(process) == 130
    assert console.ask("rebalance", "cancel")["items"][0]["state"] == "cancelled"
    assert len(console.ask("status")["items"]) == 3
    assert values(added) == 0


def test_in_the_background(console, fleet):
    """With --no-wait a resize goes on by itself: it can be paused, resumed and cancelled from elsewhere."""
    added = fleet.add()
    begun = console.ask("rebalance", "--add", added.address, "--yes", "--max-rate", "2", "--no-wait")
    assert begun["items"][0]["state"] == "running"
    console.run("rebalance", "pause")
    while console.ask("rebalance", "status")["items"][0]["state"] != "paused":
        pass
    console.run("rebalance", "resume")
    while console.ask("rebalance", "status")["items"][0]["state"] == "paused":
        pass
    console.run("rebalance", "cancel")
    while console.ask("status")["phase"] != "stable":
        pass
    assert len(console.ask("status")["items"]) == 3


def test_waiting_times_out(console, fleet):
    """With --wait-timeout waiting ends with 124, and the resize goes on to its end."""
    added = fleet.add()
    console.run("node", "add", added.address, "--yes", "--max-rate", "300", "--wait-timeout", "0.1", code=124)
    while console.ask("rebalance", "status")["items"][0]["state"] != "done":
        pass
    assert len(console.ask("status")["items"]) == 4
