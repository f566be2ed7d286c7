"""Clearing a fleet."""

from dataclasses import replace

import pytest

from django_dcache.commands import Answer, Flush
from django_dcache.errors import ConnectionLost, NodeTimeout
from django_dcache.flows.consensus import clear
from django_dcache.model.topology import Topology
from support.played_flows import Keepers, Play, layout, view_of
from support.three_keepers import ABC, holding


def test_clear():
    """Every node is flushed, then the state is planted again."""
    keepers = Keepers(ABC, documents=dict.fromkeys("abc"))
    play = Play(clear(ABC), {name: {Flush(): Answer.DONE} for name in "abc"}, keepers=keepers)
    assert play.result is True
    assert all(keepers.state(name) == ABC.state for name in "abc")


@pytest.mark.parametrize("failure", [NodeTimeout(), ConnectionLost()])
def test_clear_of_a_silent_node(failure):
    """A node that could not be flushed loses all of its slots instead."""
    keepers = Keepers(ABC, silent="a", documents={"a": ABC.state.encode(), "b": None, "c": None})
    play = Play(
        clear(ABC), {"a": {Flush(): failure}} | {name: {Flush(): Answer.DONE} for name in "bc"}, keepers=keepers
    )
    assert play.result is True
    assert keepers.state("b").generations["a"].floor == 1


def test_clear_leaves_out_what_is_out():
    """A node that is out of service holds nothing anybody reads, and is left alone."""
    nodes = layout("a", "b", "c").nodes
    view = view_of(Topology(5, replace(layout("a", "b", "c"), nodes=(replace(nodes[0], out=True), *nodes[1:]))))
    keepers = Keepers(view)
    assert Play(clear(view), {name: {Flush(): Answer.DONE} for name in "bc"}, keepers=keepers).result is True


def test_clear_that_fails():
    """A fleet of which nothing answers is not cleared."""
    flushes = {name: {Flush(): NodeTimeout()} for name in "abc"}
    assert Play(clear(ABC), flushes, keepers=holding(ABC.state, silent="abc")).result is False
