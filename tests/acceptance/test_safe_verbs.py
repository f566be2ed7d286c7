"""What a command does when an operator slips: it asks, says how much it is about, and finishes what was begun."""

import signal

import pytest

from dcache_manager.cli.options import Choices
from support.command_line import Console, read_until


def test_an_empty_prefix_asks(console):
    """`invalidate prefix ""` is everything: without a terminal it is refused, and the keys stay."""
    _, said = console.streams("invalidate", "prefix", "", code=6)
    assert "every key" in said and "items" in said
    assert console.cache("print(len(cache.get_many([f'k{n}' for n in range(600)])))") == "600\n"
    assert "600 keys" in console.run("invalidate", "prefix", "", "--yes")
    assert console.cache("print(cache.get('k1'))") == "None\n"


def test_how_many_keys(console):
    """A prefix and keys say how many there were, to people and to programs."""
    console.cache("cache.set_many({f'book:{n}': n for n in range(7)} | {'page': 1})")
    answer = console.ask("invalidate", "prefix", "book:")
    assert (answer["items"][0]["keys"], answer["items"][0]["done"]) == (7, True)
    assert "Done: 1 key." in console.run("invalidate", "key", "page")


def test_a_slip_of_the_pen(bare):
    """A command that does not exist is answered with the one that was meant, on every level."""
    assert "Did you mean 'status'" in bare.streams("statsu", code=2)[1]
    assert "'rebalance'" in bare.streams("rebalace", "plan", code=2)[1]
    assert "'resume'" in bare.streams("rebalance", "resum", code=2)[1]


SLIPS = [
    (["status", "-c", "fleeet"], "no alias 'fleeet' in CACHES; did you mean 'fleet'? There are default, fleet"),
    (["node", "down", "nod"], "no node by this name or address; nothing was changed: 'nod'; there are 127.0.0.1:"),
    (["node", "drain", "127.0.0.1:1"], "did you mean '127.0.0.1:"),
    (["jobs", "show", "xyz"], "no job 'xyz'; `jobs list` shows"),
    (["warm", "dump", "no/such/folder/hot"], "hot.part can't be written: No such file or directory"),
    (["status", "--nodes", "a b"], "--nodes: 'a b' is no address"),
    (["invalidate", "key", "k", "--nodes", "127.0.0.1:1"], "the one in the project's LOCATION"),
    (["warm", "dump", "hot", "--max-rat", "3"], "Did you mean '--max-rate'?"),
]


@pytest.mark.parametrize(("command", "words"), SLIPS, ids=lambda given: " ".join(given) if type(given) is list else "")
def test_what_was_wrong(console, command, words):
    """An error says what was wrong with the command line, and what to write instead."""
    _, said = console.streams(*command, code=2)
    assert words in said and "topology document" not in said


def test_settings_that_raise(console):
    """What the project's own settings raise is told with their line, and not as a bare KeyError."""
    (console.folder / "broken.py").write_text("import os\nNODES = os.environ['NO_SUCH_VARIABLE']\n")
    _, said = console.streams("status", "--settings", "broken", code=2)
    assert "settings 'broken' can't be loaded: KeyError: 'NO_SUCH_VARIABLE'" in said and "broken.py, line 2" in said


def test_why_no_node_is_reached(bare):
    """A fleet of which no node answers is named node by node, with the cause of each."""
    _, said = bare.streams("status", "--nodes", "127.0.0.1:1,no-such-host.invalid", code=4)
    assert "127.0.0.1:1 (nothing listens there)" in said and "no-such-host.invalid:11211 (" in said


def test_invalidating_without_our_tables(fleet, tmp_path):
    """Keys, a prefix and everything can be invalidated by a project that has not installed the manager."""
    console = Console(tmp_path, fleet.addresses)
    text = (tmp_path / "project.py").read_text()
    (tmp_path / "project.py").write_text(text.replace('["dcache_manager"]', "[]"))
    console.cache("cache.set_many({f'book:{n}': n for n in range(7)} | {'page': 1, 'rest': 2})")
    assert console.ask("invalidate", "key", "page")["items"][0]["keys"] == 1
    assert console.ask("invalidate", "prefix", "book:")["items"][0]["keys"] == 7
    assert console.cache("print(cache.get_many(['book:1', 'page', 'rest']))") == "{'rest': 2}\n"


def test_jobs_say_what(console, fleet):
    """Each job is listed with its kind, the time, and what it changes."""
    joining = fleet.add().address
    console.run("node", "add", joining, "--yes")
    (job,) = console.ask("jobs", "list")["items"]
    assert (job["kind"], job["what"]) == ("rebalance", f"add {joining} ({joining}, weight 1)")
    headings, row = console.run("jobs", "list").splitlines()
    assert headings.split()[:4] == ["JOB", "KIND", "AT", "AGE"] and f"add {joining}" in row


def test_local_up_for_a_shell(bare):
    """What `local up` prints can be evaluated by a shell: the addresses, and nothing else on stdout."""
    try:
        said, beside = bare.streams("local", "up", "-n", "2")
        addresses = [node["address"] for node in bare.ask("local", "up", "-n", "2")["items"]]
    finally:
        bare.run("local", "down")
    assert said == f"export DCACHE_NODES={','.join(addresses)}\n"
    assert all(address in beside for address in addresses)


def test_problems_only(console):
    """`doctor --problems` leaves out what is well, and ends as `doctor` does."""
    items = console.ask("doctor", "--problems")["items"]
    assert all(item["verdict"] != "ok" for item in items)
    assert len(items) < len(console.ask("doctor")["items"])


def test_what_was_begun_is_finished(console, fleet):
    """After Ctrl-C the hint, `doctor`, `status` and `plan` name what finishes the resize, at the same rate; following
    them adds the node that was to be added, although LOCATION does not name it."""
    console.cache("cache.set_many({f'k{n}': n for n in range(500)})")
    joining = fleet.add().address
    with console.start("node", "add", f"new={joining}", "--max-rate", "2", "--yes") as process:
        read_until(process, "copy")
        process.send_signal(2)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "`rebalance resume --max-rate 2` finishes it" in said
    answer = console.ask("status", code=3)
    assert any("interrupted: `rebalance resume` finishes it" in step for step in answer["next"])
    assert "`rebalance resume` finishes it" in console.run("doctor", "--problems")
    planned, _ = console.streams("rebalance", "plan")
    assert planned.startswith("a resize is under way (copy) and is finished first")
    assert console.ask("rebalance", "run", "--dry-run")["pending"]
    console.run("rebalance", "resume", "--max-rate", "5000")
    done = console.ask("status")
    assert "new" in [item["name"] for item in done["items"]] and done["phase"] == "stable" and done["next"] == []
    # LOCATION lacks it now: the advice keeps the node.
    (item,) = [item for item in console.ask("doctor")["items"] if item["check"] == "LOCATION"]
    assert item["fix"].startswith("write these nodes into LOCATION")


def test_the_clock_and_the_losses(console, fleet):
    """A rate is keys by the clock, with the pauses that --max-rate makes; what was moved in the end did not fail."""
    console.cache("cache.set_many({f'k{n}': n for n in range(2000)})")
    item = console.ask("node", "add", fleet.add().address, "--max-rate", "1000", "--yes")["items"][0]
    assert item["state"] == "done" and item["moved"] > 100 and item["failed"] == 0
    assert item["rate"] <= 1000


def test_a_plan_in_figures(console, fleet):
    """A plan says how many copies and bytes move, and how long that takes."""
    console.cache("cache.set_many({f'k{n}': 'x' * 1000 for n in range(900)})")
    joining = fleet.add().address
    answer = console.ask("rebalance", "plan", "--add", joining)
    expected = answer["estimate"]
    assert 100 < expected["keys"] < 400 and expected["bytes"] > 100_000 and expected["seconds"] > 0
    slow = console.ask("rebalance", "run", "--add", joining, "--dry-run", "--max-rate", "10")["estimate"]
    assert slow["seconds"] > 2 * slow["keys"] / 10
    assert expected["full"] == [] and f"about {expected['keys']}" in console.run("rebalance", "plan", "--add", joining)


@pytest.mark.parametrize("kill", [True, False])
def test_status_at_80_columns(console, fleet, kill):
    """On a terminal of 80 columns a node is a line, and below the table is what to do now."""
    if kill:
        fleet.nodes[1].kill()
    screen, _ = console.converse("status", until="\0", answer=None, columns=80)
    lines = [line.rstrip() for line in screen.replace("\x1b[1m", "").splitlines()]
    rows = [line for line in lines if "127.0.0.1:" in line and "nothing listens" not in line]
    assert len([line for line in rows if line[:40].count("127.0.0.1:") == 1]) >= 3
    assert max(map(len, lines)) < 200 and any("STATE" in line and "FOR" in line for line in lines)
    assert any("is down (nothing listens there): start it" in line for line in lines) == kill


def test_what_a_job_says_moves_no_cursor(capsys):
    """Remarks and questions that hold control characters show them, and do not send them."""
    Choices(yes=True).note("a\x1b[2Jb\nc\x07")
    assert capsys.readouterr().err == "a\\x1b[2Jb\nc\\x07\n"


@pytest.mark.parametrize(("signal_number", "hint"), [(signal.SIGTERM, True), (signal.SIGKILL, False)])
def test_a_conductor_that_is_stopped(console, fleet, signal_number, hint):
    """A conductor that a service manager stops ends as after Ctrl-C, by that signal; one that is killed does not show
    as running for ever."""
    with console.start("node", "add", fleet.add().address, "--max-rate", "2", "--yes") as process:
        read_until(process, "copy")
        process.send_signal(signal_number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == -signal_number and ("rebalance resume" in said) is hint
    assert console.ask("jobs", "list")["items"][0]["state"] == "interrupted"
    assert console.ask("rebalance", "status", code=3)["items"][0]["state"] == "interrupted"
    assert "interrupted: `rebalance resume` finishes it" in console.run("status", code=3)
