"""What a shell is offered after dcache-admin: names of the project and of the fleet, soon, and never an error."""

import subprocess
import sys
import time

import pytest

from django_dcache.testing import ScriptedNode

WARMERS = """
from dcache_manager.warming import warmer

@warmer("products", alias="fleet", depends_on_tags=["catalog"])
def products():
    yield "product:1", 1
"""


def offered(console, *words, **environment):
    """The words, as bash gets them; nothing may be said on stderr."""
    asked = {"_DCACHE_ADMIN_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(["dcache-admin", *words])}
    said, beside = console.streams(**asked, COMP_CWORD=str(len(words)), **environment)
    assert beside == ""
    return [line.partition(",")[2] for line in said.splitlines() if line]


def test_names(console, fleet):
    """Aliases, nodes and jobs are offered where they are meant, and only those that begin as what was typed."""
    assert offered(console, "-c", '""') == ["fleet"]
    for verb in ("down", "up", "drain", "remove", "weight"):
        assert offered(console, "node", verb, '""') == fleet.addresses
    assert offered(console, "node", "down", fleet.addresses[1]) == fleet.addresses[1:2]
    assert offered(console, "rebalance", "run", "--remove", '""') == fleet.addresses
    assert offered(console, "rebalance", "plan", "--weight", '""') == [f"{address}=" for address in fleet.addresses]
    console.run("node", "weight", fleet.addresses[0], "2", "--yes")
    (job,) = console.ask("jobs", "list")["items"]
    assert offered(console, "jobs", "show", '""') == [job["job"]]


def test_warmers(console):
    """Warmers and their tags are offered by name."""
    shop = console.folder / "shop"
    shop.mkdir()
    (shop / "__init__.py").touch()
    (shop / "warmers.py").write_text(WARMERS)
    project = console.folder / "project.py"
    project.write_text(project.read_text().replace('["dcache_manager"]', '["dcache_manager", "shop"]'))
    assert offered(console, "warm", "run", '""') == ["products"]
    assert offered(console, "warm", "run", "--tag", "c") == ["catalog"]


def test_a_dead_and_a_silent_fleet(console, fleet, bare):
    """Nodes that are down are offered by LOCATION; for one that says nothing no shell waits long."""
    for node in fleet.nodes:
        node.kill()
    assert offered(console, "node", "down", '""') == fleet.addresses
    with ScriptedNode(lambda command, number: b"") as silent:
        began = time.monotonic()
        assert offered(bare, "node", "down", '""', DCACHE_NODES=silent.address) == [silent.address]
        assert time.monotonic() - began < 20  # Its look has a deadline; the rest is the machine's.


@pytest.mark.parametrize("settings", ["absent", "raising", "ending"])
def test_settings_that_can_not_be_loaded(console, settings):
    """Whatever the project's settings do, there is nothing to offer, and no traceback on the command line."""
    (console.folder / "raising.py").write_text("print('loud')\n1 / 0")
    (console.folder / "ending.py").write_text("raise SystemExit(3)")
    for words in (["node", "down", '""'], ["-c", '""'], ["jobs", "show", '""']):
        assert offered(console, *words, DJANGO_SETTINGS_MODULE=settings) == []


def test_in_bash(console, fleet):
    """bash itself completes the address of a node, which has a colon in it."""
    script = console.run("completion", "bash").replace("$1)", f"{sys.executable} -m dcache_manager)")
    beginning = fleet.addresses[0][:-1]
    ask = f"COMP_WORDS=(dcache-admin node down {beginning}); COMP_CWORD=3; _dcache_admin_completion dcache-admin"
    source = f'{script}\n{ask}\necho "${{COMPREPLY[@]}}" "breaks:$COMP_WORDBREAKS"'
    run = subprocess.run(
        ["bash", "-ic", source], cwd=console.folder, env=console.environment, capture_output=True, text=True, timeout=60
    )
    reply, _, breaks = run.stdout.partition("breaks:")
    assert fleet.addresses[0] in reply.split() and ":" not in breaks
