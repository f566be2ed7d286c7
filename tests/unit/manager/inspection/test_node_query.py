"""What nodes say of themselves, from nodes that lie and stop in the middle."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcache_manager.inspection.fleet_report import look
from dcache_manager.inspection.node_query import MAX_WORD_BYTES, Words, ask, parse, survey
from dcache_manager.inspection.target import Target
from django_dcache.conf import parse as parse_options
from django_dcache.errors import ConnectionLost, NodeTimeout, ProtocolViolation, UnknownFormat
from django_dcache.model.state import FleetState
from django_dcache.model.topology import Layout, Node, Topology
from django_dcache.testing import CLOSE, SILENCE, Dribble, ScriptedNode
from django_dcache.transport.pool import Limits

KEY = b"_dc:default:state"
STATS = b"STAT pid 1\r\nSTAT curr_items 7\r\nSTAT version 1.6.18\r\nEND\r\n"
SETTINGS = b"STAT maxbytes 64\r\nSTAT inter a b\r\nEND\r\n"
VALUE = b"VALUE _dc:default:state 5 4\r\n\r\n!!\r\nEND\r\n"
ANSWER = STATS + SETTINGS + VALUE + b"VERSION 1.6.18\r\n"


def test_words():
    """Statistics, settings, documents (with line ends in them) and the version are told apart."""
    words = parse(ANSWER, [KEY])
    assert words.stats == {"pid": "1", "curr_items": "7", "version": "1.6.18"}
    assert words.settings == {"maxbytes": "64", "inter": "a b"}
    assert (words.values, words.version, words.complaint) == ({KEY: b"\r\n!!"}, "1.6.18", "")


@pytest.mark.parametrize("size", range(len(ANSWER)))
def test_an_answer_cut_anywhere(size):
    """What came before the cut is kept, nothing is made up, and the rest is complained of."""
    words = parse(ANSWER[:size], [KEY])
    whole = parse(ANSWER, [KEY])
    assert words.complaint
    assert words.version == ""
    assert words.stats in ({}, whole.stats)
    assert words.settings in ({}, whole.settings)
    assert words.values in ({}, whole.values)


@given(st.binary(max_size=300))
def test_any_answer_can_be_read(noise):
    """No bytes, alone or in the middle of a sound answer, break the parser or leave an unprintable word."""
    for answer in (noise, STATS + noise, STATS + SETTINGS + noise, STATS + SETTINGS + VALUE + noise):
        words = parse(answer, [KEY])
        said = [words.version, words.complaint, *words.stats, *words.stats.values(), *words.settings.values()]
        assert all(word.isascii() and word.isprintable() for word in said)


def test_words_are_cut_to_size():
    """A node can't fill a screen with one word, nor smuggle a terminal's commands into it."""
    words = parse(b"STAT x \x1b[2J" + b"a" * 10_000 + b"\r\nEND\r\n", [])
    assert words.stats["x"].startswith(r"\x1b[2Ja")
    assert len(words.stats["x"]) < MAX_WORD_BYTES + 10


@pytest.mark.parametrize(
    ("word", "number"),
    [("0", 0), ("17", 17), ("-1", None), ("1.5", None), ("", None), ("NaN", None), ("9" * 5000, None)],
)
def test_numbers(word, number):
    """A number is a whole one of 64 bits in plain digits; whatever else a node says is none."""
    assert Words(stats={"x": word}).number("x") == number


def test_statistics_that_are_refused():
    """A node that does not tell its settings still tells the rest."""
    words = parse(STATS + b"CLIENT_ERROR no\r\n" + b"END\r\n" + b"VERSION 1\r\n", [KEY])
    assert (words.settings, words.values, words.version, words.complaint) == ({}, {}, "1", "")


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (SILENCE, NodeTimeout),
        (CLOSE, ConnectionLost),
        ((b"STAT a", CLOSE), ConnectionLost),
        (Dribble(STATS, 0.05), NodeTimeout),
        (b"VERSION nonsense\r\n", ProtocolViolation),
        (b"x" * 5_000_000, ProtocolViolation),
    ],
)
def test_nodes_that_do_not_answer_properly(reply, failure):
    """Silence, a broken line, one byte at a time, nonsense and an endless answer are failures within the deadline."""
    with ScriptedNode(reply) as node:
        report = ask(Node.at(node.address), [KEY], Limits(), time.monotonic() + 0.3)
    assert type(report.failure) is failure


def test_survey_follows_and_is_bounded():
    """Nodes that a report leads to are asked within the same deadline, each once; a silent one does not hold it up."""
    with ScriptedNode(script(STATS)) as near, ScriptedNode(script(STATS)) as far, ScriptedNode(SILENCE) as silent:
        nodes = [Node.at(node.address) for node in (near, far, silent)]
        reports = survey([nodes[0], nodes[2]], [], Limits(), 0.5, lambda report: nodes)
    assert [reports[node.address].answered for node in nodes] == [True, True, False]
    assert type(reports[silent.address].failure) is NodeTimeout
    assert near.accepted == far.accepted == silent.accepted == 1


def test_look_at_a_newer_release():
    """A state in a format of a newer release is an error; it is not passed over as nonsense."""
    with ScriptedNode(script(STATS, b'{"format": 99}')) as node, pytest.raises(UnknownFormat):
        look(Target("default", parse_options("default", node.address)), 5.0)


def test_look_finds_what_runs():
    """The newest state that any node tells of is what runs, whatever the list of nodes at hand says."""
    with ScriptedNode(script(STATS)) as other, ScriptedNode(lambda command, number: answers(command)) as node:
        layout = Layout((Node("one", node.address), Node("two", other.address)))
        answers = script(STATS, FleetState(Topology(7, layout)).encode())
        sighting = look(Target("default", parse_options("default", node.address)), 5.0)
    assert (sighting.topology.epoch, list(sighting.topology.nodes)) == (7, ["one", "two"])
    assert list(sighting.states) == ["one"]
    assert [row["items"] for row in sighting.rows()] == [7, 7]


def script(stats, state=None):
    """A node's answers: its statistics, and the state if it holds one."""
    found = b"" if state is None else b"VALUE %b 0 %d\r\n%b\r\n" % (KEY, len(state), state)
    replies = {
        b"stats": stats,
        b"stats settings": b"END\r\n",
        b"version": b"VERSION 1.6.18\r\n",
        b"get " + KEY: found + b"END\r\n",
    }
    return lambda command, number=0: replies[command]
