"""dcache-admin on real nodes, run as a process: help, what it shows, doctor, nodes of this user."""

import json
import os
import shutil

import pytest

from dcache_manager.cli.main import COMMANDS
from dcache_manager.local_servers import PROGRAMS
from django_dcache.testing import CLOSE, LocalNode, ScriptedNode
from django_dcache.testing.ignite_server import FOLDER_VARIABLE
from support.command_line import Console, interrupt
from support.ignite import needs_ignite

STATUS = ["name", "address", "zone", "weight", "state", "since", "owns", "items", "bytes", "limit_bytes", "hit_ratio"]
STATUS += ["hits", "misses", "operations", "evictions", "connections", "version", "answer_seconds"]

# Help


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)])
def test_help_waits_for_nothing(bare, arguments):
    """Help needs neither Django, rich nor Celery, of whichever command."""
    seen = "sorted({name.partition('.')[0] for name in sys.modules} & {'celery', 'django', 'kombu', 'rich'})"
    source = f"import sys; from dcache_manager.cli.main import run; code = run({arguments!r}); print({seen}, code)"
    assert bare.python(source).splitlines()[-1] == "[] 0"


def test_completion(bare):
    """The script for bash asks dcache-admin for words, and gets the names of its commands."""
    assert "_DCACHE_ADMIN_COMPLETE=bash_complete" in bare.run("completion", "bash")
    asked = {"_DCACHE_ADMIN_COMPLETE": "bash_complete", "COMP_WORDS": "dcache-admin re", "COMP_CWORD": "1"}
    assert bare.run(**asked).split() == ["plain,rebalance"]
    asked |= {"COMP_WORDS": "dcache-admin rebalance ", "COMP_CWORD": "2"}
    words = [line.partition(",")[2] for line in bare.run(**asked).split()]
    assert words == ["cancel", "pause", "plan", "resume", "run", "status", "watch"]


# Looking


def test_status(console, fleet):
    """`status` answers with one object a node, in the order of the topology, and with 0 when all is well."""
    answer = console.ask("status")
    assert (answer["schema"], answer["alias"], answer["epoch"], answer["phase"]) == (
        "dcache.status/v1",
        "fleet",
        1,
        "stable",
    )
    assert [item["address"] for item in answer["items"]] == fleet.addresses
    assert all(list(item) == STATUS and item["state"] == "up" for item in answer["items"])
    assert sum(item["items"] for item in answer["items"]) == 600 + 3  # each keeper holds the state as well
    assert sum(item["owns"] for item in answer["items"]) == pytest.approx(1, abs=1e-5)
    assert answer["errors"] == []


def test_status_table(console, fleet):
    """The table has a title, a row of headings, and a row for each node, cut off nowhere."""
    title, headings, *rows = console.run("status").splitlines()
    assert title == "fleet: epoch 1, stable, 3 of 3 nodes up"
    assert headings.split()[:3] == ["STATE", "NAME", "ADDRESS"]
    assert [row.split()[2] for row in rows] == fleet.addresses


def test_global_options_before_and_after(console):
    """--json and -c mean the same before the command, between its words and after it."""
    lines = [["--json", "-c", "fleet", "ring", "show"], ["ring", "--json", "show", "-c", "fleet"]]
    lines.append(["ring", "show", "--json", "--cache", "fleet"])
    assert len({json.dumps(json.loads(console.run(*line))["items"]) for line in lines}) == 1


def test_options_from_the_environment(bare, fleet):
    """Every global option can come from the environment, and the command line wins."""
    answer = json.loads(bare.run("node", "list", DCACHE_NODES=",".join(fleet.addresses), DCACHE_JSON="1"))
    assert [item["address"] for item in answer["items"]] == fleet.addresses
    answer = bare.ask("node", "list", "--nodes", fleet.addresses[0], DCACHE_NODES=fleet.addresses[1])
    assert [item["address"] for item in answer["items"]] == fleet.addresses[:1]


def test_without_a_project_one_node_is_enough(console, bare, fleet):
    """With --nodes and the fleet's name, any node tells of all the others; no Django project is needed."""
    for command in (["status"], ["node", "list"], ["ring", "show"]):
        answer = bare.ask(*command, "--nodes", fleet.addresses[2], "-c", "fleet")
        assert [item["address"] for item in answer["items"]] == fleet.addresses
        assert answer["epoch"] == 1


@pytest.mark.parametrize(
    "command",
    [["status"], ["ring", "show"], ["ring", "locate", "k"], ["node", "list"], ["rebalance", "status"], ["doctor"]],
)
def test_looking_plants_nothing(bare, fleet, command):
    """Whatever list of nodes a command that only reads is given, it leaves nothing behind on them."""
    bare.run(*command, "--nodes", ",".join(fleet.addresses))
    assert [node.items() for node in fleet.nodes] == [{}, {}, {}]


def test_dead_node(console, fleet):
    """A dead node is a row that says so, an error, and exit 3."""
    fleet.nodes[1].kill()
    answer = console.ask("status", code=3)
    assert [item["state"] for item in answer["items"]] == ["up", "down", "up"]
    assert [(error["node"], error["error"]) for error in answer["errors"]] == [(fleet.addresses[1], "NodeUnreachable")]
    assert fleet.addresses[1] in console.streams("node", "list", code=3)[1]


def test_hung_node(console, fleet):
    """A hung node costs no more than --timeout, and the others are asked all the same."""
    fleet.nodes[0].freeze()
    answer = console.ask("status", "--timeout", "1", code=3)
    assert [item["state"] for item in answer["items"]] == ["down", "up", "up"]
    assert answer["errors"][0]["error"] == "NotGreeted"


def test_nothing_reachable(console, fleet):
    """Without any node there is exit 4, and an answer that says so."""
    for node in fleet.nodes:
        node.kill()
    assert console.ask("status", code=4)["errors"][0]["error"] == "NothingReachable"


def test_no_majority(console, fleet):
    """One keeper of three can't prove its epoch, and says so."""
    for node in fleet.nodes[1:]:
        node.kill()
    assert console.ask("status", code=3)["errors"][-1]["error"] == "NoMajority"


def test_locate(console, fleet):
    """`ring locate` names, one item per key in order, the node on which the cache has really put it."""
    keys = [f"k{i}" for i in range(99, 0, -1)]
    items = console.ask("ring", "locate", *keys)["items"]
    assert [item["key"] for item in items] == keys
    held = {node.address: node.items() for node in fleet.nodes}
    for item in items:
        assert item["made_key"] == f"shop:2:{item['key']}"
        assert item["made_key"].encode() in held[item["address"]]
        assert item["replicas"] == [item["node"]]
        assert 0 <= item["slot"] < 256


def test_locate_without_a_project(console, bare, fleet):
    """Without a project a key is the whole key, and lives where the project says it does."""
    named = bare.ask("ring", "locate", "shop:2:k1", "--nodes", fleet.addresses[0], "-c", "fleet")["items"][0]
    assert named["node"] == console.ask("ring", "locate", "k1")["items"][0]["node"]


def test_locate_a_key_that_no_cache_takes(console):
    """A key with a control character has no node; it is escaped on the screen, and the other keys are answered."""
    stdout, stderr = console.streams("ring", "locate", "a", "b\x1b[31m", code=3)
    assert "\x1b" not in stdout + stderr
    assert r"b\x1b[31m" in stdout
    answer = console.ask("ring", "locate", "a", "b\x7f", code=3)
    assert [bool(item["node"]) for item in answer["items"]] == [True, False]
    assert [(error["error"], error["key"]) for error in answer["errors"]] == [("InvalidKey", "b\x7f")]
    console.run("ring", "locate", "b\x7f", code=2)


def test_stdout_is_the_answer_and_nothing_else(console):
    """What a project prints while it is loaded goes to stderr."""
    stdout, stderr = console.streams("--json", "status")
    assert json.loads(stdout)
    assert "a project that prints" in stderr


def test_watch(console):
    """`status --watch --json` says one object a line until it is interrupted, with 130."""
    with console.start("status", "--watch", "--json", "--every", "0.05") as process:
        assert [json.loads(process.stdout.readline())["epoch"] for _ in range(3)] == [1, 1, 1]
        assert interrupt(process) == 130


# doctor


def test_doctor_is_content(console, fleet):
    """On a sound fleet of three no check fails or warns, but of old releases; and nothing is left behind."""
    before = [node.items().keys() for node in fleet.nodes]
    findings = console.ask("doctor")["items"]
    assert {item["check"] for item in findings if item["verdict"] != "ok"} <= {"known holes", "Django"}
    assert "fail" not in {item["verdict"] for item in findings}
    assert {item["check"] for item in findings} >= {"connects", "round trip", "version", "UDP off", "clock", "keepers"}
    assert [node.items().keys() for node in fleet.nodes] == before


def test_doctor_finds_what_is_wrong(bare, tmp_path):
    """Too few nodes, keys that can't be listed, item limits that differ and CAS switched off are found, with a cure."""
    with LocalNode(extra=["-X", "-I", "2m"]) as first, LocalNode(extra=["-C"]) as second:
        findings = bare.ask("doctor", "--nodes", f"{first.address},{second.address}", code=3)["items"]
    wrong = {(item["check"], item["node"]) for item in findings if item["verdict"] != "ok"}
    assert {("lists keys", first.address), ("CAS", second.address), ("item size", None), ("three nodes", None)} <= wrong
    assert all(item["fix"] for item in findings if item["verdict"] == "fail")


def test_doctor_on_an_impostor(bare, fleet):
    """Something that is no memcached fails the checks; it breaks nothing."""
    with ScriptedNode(lambda command, number: (b"HTTP/1.1 400 Bad Request\r\n", CLOSE)) as impostor:
        answer = bare.ask("doctor", "--nodes", f"{impostor.address},{fleet.addresses[0]}", code=3)
    assert [item["verdict"] for item in answer["items"] if item["node"] == impostor.address] == ["fail"]


def test_doctor_looks_at_what_location_adds(console, fleet, tmp_path):
    """A change of LOCATION that waits for a rebalance is a warning, and a new node in it that is away a failure."""
    waiting = Console(tmp_path, [*fleet.addresses, "127.0.0.1:9"])
    findings = [item for item in waiting.ask("doctor", code=3)["items"] if item["check"] == "LOCATION"]
    assert [item["verdict"] for item in findings] == ["warn", "fail"]


# local


@pytest.mark.parametrize("engine", ["memcached", "redis", "valkey", "ignite"])
def test_local_nodes(bare, engine):
    """`local up` starts nodes that go on without it, a second one adds what is missing, and `local down` ends them."""
    if not shutil.which(PROGRAMS[engine]):
        pytest.skip(f"there is no {PROGRAMS[engine]} on PATH")
    if engine == "ignite":
        needs_ignite()
        bare.environment[FOLDER_VARIABLE] = os.environ[FOLDER_VARIABLE]
    some, all_of_them = (1, 2) if engine == "ignite" else (2, 3)  # Java takes seconds to start.
    first = bare.ask("local", "up", "-n", some, "--engine", engine)["items"]
    second = bare.ask("local", "up", "-n", all_of_them, "--engine", engine)["items"]
    try:
        assert second[:some] == first
        nodes = ",".join(item["address"] for item in second)
        assert [item["state"] for item in bare.ask("status", "--nodes", nodes)["items"]] == ["up"] * all_of_them
    finally:
        ended = bare.ask("local", "down")["items"]
    assert [item["outcome"] for item in ended] == ["ended"] * all_of_them
    bare.run("status", "--nodes", nodes, code=4)
    assert bare.ask("local", "down")["items"] == []


def test_local_down_ends_only_its_own(bare, fleet):
    """A process number that belongs to somebody else by now is left alone."""
    (bare.folder / "run").mkdir()
    stranger = {"address": fleet.addresses[0], "pid": fleet.nodes[0].process.pid, "born": "long ago"}
    (bare.folder / "run" / "local.json").write_text(json.dumps([stranger]))
    assert bare.ask("local", "down")["items"][0]["outcome"] == "was gone"
    assert fleet.nodes[0].running


# manage.py


def test_management_command(console):
    """`manage.py dcache` is the same command with the project's settings, exit codes included."""
    django = "import django; django.setup(); from django.core.management import "
    line = "execute_from_command_line as run; run(['manage.py', 'dcache', *{}])"
    assert json.loads(console.python(django + line.format(["status", "--json"])))["alias"] == "fleet"
    console.python(django + line.format(["rebalance", "--replicas=2"]), code=6)
    assert "shop:2:k1" in console.python(django + "call_command as call; call('dcache', 'ring', 'locate', 'k1')")
