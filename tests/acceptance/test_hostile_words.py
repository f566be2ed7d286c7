"""What nodes, jobs and stored bytes say never reaches the terminal as a control character."""

import json

import pytest

from django_dcache.testing import ScriptedNode
from support.command_line import Console

ESCAPE = b"\x1b[2J\x9b\x07\x7f\r"
JOURNAL = {
    "at": 1.7e9,
    "event": "a\x1b[2Jb",
    "state": "running",
    "phase": "\x9b2J",
    "job": "j\x1b]0;x\x07",
    "owner": "o\x1b",
}


def hostile(command, number):
    """A node that says what clears a screen wherever it may say anything."""
    if command.startswith(b"stats"):
        return b"STAT version 1%b\r\nSTAT %b 5\r\nSTAT uptime 7\r\nEND\r\n" % (ESCAPE[:-1], ESCAPE[:-1])
    if command.startswith((b"gat ", b"get ")):
        return b"VALUE %b 0 %d\r\n%b\r\nEND\r\n" % (command.split()[-1], len(ESCAPE), ESCAPE)
    if command.startswith(b"watch"):
        return b"OK\r\nts=1 gid=1 type=item_get key=%%1B[2J%b status=found\n" % ESCAPE[:-1]
    return b"VERSION 1.6.18%b\r\n" % ESCAPE[:-1] if command == b"version" else b"ERROR %b\r\n" % ESCAPE[:-1]


@pytest.mark.parametrize(
    "command",
    ["status", "doctor", "node list", "ring show", "ring locate k", "rebalance status", "top --once", "metrics"],
)
def test_a_node(bare, command):
    """Whatever a node answers, what commands print of it is printable: as a table, as JSON and in the log."""
    with ScriptedNode(hostile) as node:
        for more in ([], ["--json"]):
            arguments = [*command.split(), "--nodes", node.address, "-vv", "--timeout", "1", *more]
            with bare.start(*arguments) as process:
                said = "".join(process.communicate(timeout=60))
            assert said and all(c.isprintable() or c == "\n" for c in said)


def test_a_journal(fleet, tmp_path):
    """Nor does the journal of a job move the cursor."""
    console = Console(tmp_path, fleet.addresses)
    text = (tmp_path / "project.py").read_text()
    (tmp_path / "project.py").write_text(text.replace('["dcache_manager"]', "[]"))
    where = "from dcache_manager.jobs.journal import FileJournal; print(FileJournal.of('fleet').path)"
    path = tmp_path / console.python(f"import django; django.setup(); {where}").strip()
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(JOURNAL) + "\n")
    for command in (["jobs", "list"], ["jobs", "show", "j"], ["jobs", "list", "--json"], ["jobs", "show", "no\x1b[2J"]):
        with console.start(*command) as process:
            said = "".join(process.communicate(timeout=60))
        assert said and all(c.isprintable() or c == "\n" for c in said)
