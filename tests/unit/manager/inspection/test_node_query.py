"""What nodes say of themselves, from nodes that lie and stop in the middle."""

import time

import pytest

from dcache_manager.inspection.fleet_report import look
from dcache_manager.inspection.node_query import ask, survey
from dcache_manager.inspection.target import Target
from django_dcache.conf import parse as parse_options
from django_dcache.errors import ConnectionLost, NodeTimeout, ProtocolViolation, UnknownFormat
from django_dcache.model.state import FleetState
from django_dcache.model.topology import Layout, Node, Topology
from django_dcache.testing import CLOSE, SILENCE, Dribble, ScriptedNode
from django_dcache.transport.limits import Limits

DOCUMENTS = parse_options("default", "any").documents()
KEY = b"_dc:default:state"
STATS = b"STAT pid 1\r\nSTAT curr_items 7\r\nSTAT version 1.6.18\r\nEND\r\n"


@pytest.mark.parametrize(
    ("reply", "failure", "seconds"),
    [
        (SILENCE, NodeTimeout, 0.3),
        (CLOSE, ConnectionLost, 20),
        ((b"STAT a", CLOSE), ConnectionLost, 20),
        (Dribble(STATS, 0.05), NodeTimeout, 0.3),
        (b"VERSION nonsense\r\n", ProtocolViolation, 20),
        (b"x" * 5_000_000, ProtocolViolation, 20),
    ],
)
def test_nodes_that_do_not_answer_properly(reply, failure, seconds):
    """Silence, a broken line, one byte at a time, nonsense and an endless answer are failures within the deadline."""
    with ScriptedNode(reply) as node:
        report = ask(Node.at(node.address), [KEY], Limits(), time.monotonic() + seconds)
    assert type(report.failure) is failure


def test_survey_follows_and_is_bounded():
    """Nodes that a report leads to are asked within the same deadline, each once; a silent one does not hold it up."""
    with ScriptedNode(script(STATS)) as near, ScriptedNode(script(STATS)) as far, ScriptedNode(SILENCE) as silent:
        nodes = [Node.at(node.address) for node in (near, far, silent)]
        reports = survey([nodes[0], nodes[2]], [], Limits(), 0.5, lambda report: nodes)
    assert [reports[node.address].reply.answered for node in nodes] == [True, True, False]
    assert type(reports[silent.address].failure) is NodeTimeout
    assert near.accepted == far.accepted == silent.accepted == 1


def test_look_at_a_newer_release():
    """A state in a format of a newer release is an error of its node; it is not passed over as nonsense."""
    with ScriptedNode(script(STATS, b'{"format": 99}')) as node:
        seen = look(Target("default", parse_options("default", node.address)), 5.0)
    ((name, refused),) = seen.refused.items()
    assert type(refused) is UnknownFormat and refused.node == name
    assert [error["node"] for error in seen.errors()] == [name]


def test_look_finds_what_runs():
    """The newest state that any node tells of is what runs, whatever the list of nodes at hand says."""
    with ScriptedNode(script(STATS)) as other, ScriptedNode(lambda command, number: answers(command)) as node:
        layout = Layout((Node("one", node.address), Node("two", other.address)))
        answers = script(STATS, DOCUMENTS.write(FleetState(Topology(7, layout))))
        seen = look(Target("default", parse_options("default", node.address)), 5.0)
    assert (seen.topology.epoch, list(seen.topology.nodes)) == (7, ["one", "two"])
    assert list(seen.states) == ["one"]
    assert [row["items"] for row in seen.rows()] == [7, 7]


def script(stats, state=None):
    """A node's answers: its statistics, and the state if it holds one."""
    found = b"" if state is None else b"VALUE %b 0 %d\r\n%b\r\n" % (KEY, len(state), state)
    replies = {
        b"stats": stats,
        b"stats settings": b"END\r\n",
        b"version": b"VERSION 1.6.18\r\n",
        b"gat 0 " + KEY: found + b"END\r\n",
    }
    return lambda command, number=0: replies[command]
