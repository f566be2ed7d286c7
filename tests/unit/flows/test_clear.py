"""Emptying a fleet's nodes, or giving up what it keeps on them."""

from dataclasses import replace

import pytest

from django_dcache.commands import Answer, Flush, Refused
from django_dcache.errors import ConnectionLost, NodeTimeout
from django_dcache.flows.clear import clear
from django_dcache.model.topology import Topology
from support.played_flows import Keepers, Play, layout, view_of
from support.three_keepers import ABC


def alone():
    return set(), set()


def flushed(*names):
    """The round in which these nodes are emptied."""
    return {name: {Flush(): Answer.DONE} for name in names}


def test_nodes_of_our_own():
    """Every node is flushed, then the state is planted again."""
    keepers = Keepers(ABC, documents=dict.fromkeys("abc"))
    play = Play(clear(ABC, alone), flushed("a", "b", "c"), keepers=keepers, loaded=ABC)
    assert play.result is True and play.pauses == []
    assert all(keepers.state(name) == ABC.state for name in "abc")


def test_nodes_with_neighbours():
    """A node that others use is not flushed: every slot there gets a new name, and each process has the time to learn
    it."""
    keepers = Keepers(ABC, documents={"a": None, "b": ABC.state.encode(), "c": None})
    play = Play(clear(ABC, lambda: ({"b"}, set())), flushed("a", "c"), keepers=keepers, loaded=ABC)
    assert play.result is True and play.pauses == [ABC.hold]
    assert {name: found.floor for name, found in keepers.state("a").generations.items()} == {"b": 1}


def test_a_node_that_does_not_do_it():
    """A node that refuses to be emptied is given up like one with neighbours."""
    keepers = Keepers(ABC)
    play = Play(clear(ABC, alone), {"b": {Flush(): Refused("")}} | flushed("a", "c"), keepers=keepers, loaded=ABC)
    assert play.result is True and play.pauses == [ABC.hold]
    assert keepers.state("a").generations["b"].floor == 1


@pytest.mark.parametrize("failure", [NodeTimeout(), ConnectionLost()])
def test_a_silent_node(failure):
    """A node that could not be flushed loses all of its slots instead."""
    keepers = Keepers(ABC, silent="a", documents={"a": ABC.state.encode(), "b": None, "c": None})
    play = Play(clear(ABC, alone), {"a": {Flush(): failure}} | flushed("b", "c"), keepers=keepers, loaded=ABC)
    assert play.result is True and play.pauses == []
    assert keepers.state("b").generations["a"].floor == 1


def test_a_node_that_was_silent_when_it_was_looked_at():
    """A node that does not answer the look is not asked for more, and loses all of its slots."""
    keepers = Keepers(ABC, silent="a", documents={"a": ABC.state.encode(), "b": None, "c": None})
    play = Play(clear(ABC, lambda: (set(), {"a"})), flushed("b", "c"), keepers=keepers, loaded=ABC)
    assert play.result is True and play.pauses == []
    assert keepers.state("b").generations["a"].floor == 1


def test_what_is_out():
    """A node that is out of service holds nothing anybody reads, and is left alone."""
    nodes = layout("a", "b", "c").nodes
    view = view_of(Topology(5, replace(layout("a", "b", "c"), nodes=(replace(nodes[0], out=True), *nodes[1:]))))
    keepers = Keepers(view)
    assert Play(clear(view, lambda: ({"a"}, set())), flushed("b", "c"), keepers=keepers, loaded=view).result is True


@pytest.mark.parametrize("shared", [set(), set("abc")])
def test_nothing_answers(shared):
    """A fleet of which nothing answers is not cleared."""
    keepers = Keepers(ABC, silent="abc")
    flushes = {name: {Flush(): NodeTimeout()} for name in set("abc") - shared}
    rounds = [flushes] if flushes else []
    assert Play(clear(ABC, lambda: (shared, set())), *rounds, keepers=keepers, loaded=ABC).result is False
