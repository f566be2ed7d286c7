"""Emptying a fleet's nodes, or giving up what it keeps on them."""

from dataclasses import replace

import pytest

from django_dcache.commands import Flush, Refused, Store
from django_dcache.errors import ConnectionLost, NodeTimeout
from django_dcache.flows.clear import clear
from django_dcache.model.state import state_key
from django_dcache.model.topology import Phase, Topology
from support.played_flows import FLEET, Keepers, Play, layout, topology, view_of
from support.three_keepers import ABC, BUMPED


class Emptied(Keepers):
    """Keepers that are emptied one by one; `replies` instead of doing it."""

    def __init__(self, view, replies=None, **others):
        super().__init__(view, **others)
        self.replies = replies or {}
        self.emptied, self.without = [], []
        """Who was emptied, and how many keepers had no state then."""

    def answer(self, step):
        asked = [name for name, batch in step.items() if type(batch[0]) is Flush]
        self.emptied += asked
        if asked:
            self.without.append(len(asked) + sum(self.document(name) is None for name in {*"abc"} - {*asked}))
        said = super().answer(step)
        return said | {name: [self.replies[name]] * len(step[name]) for name in asked if name in self.replies}


def played(keepers, view=ABC, shared=(), silent=()):
    return Play(clear(view, lambda: (set(shared), set(silent))), keepers=keepers, loaded=view)


def floors(keepers, name):
    return {node: found.floor for node, found in keepers.state(name).generations.items()}


def test_nodes_of_our_own():
    """Every node is emptied, and the state is there again."""
    keepers = Emptied(ABC)
    play = played(keepers)
    assert play.result is True and not any(play.pauses) and sorted(keepers.emptied) == ["a", "b", "c"]
    assert all(keepers.state(name) == ABC.state for name in "abc")


def test_a_majority_has_the_state_all_the_time():
    """Keepers are emptied one after the other, so that no process that starts finds none and plants another one."""
    keepers = Emptied(ABC)
    played(keepers)
    assert keepers.without == [1, 1, 1]


def test_what_others_were_told_meanwhile():
    """A bump that one keeper has, and this process has not, outlives the emptying."""
    keepers = Emptied(ABC, documents=dict.fromkeys("ab", ABC.state.encode()) | {"c": BUMPED.encode()})
    assert played(keepers).result is True
    assert all(keepers.state(name) == BUMPED for name in "abc")


def test_the_state_that_can_not_be_planted():
    """Emptied nodes are not enough: where no keeper takes the state again, the next process would plant an older one,
    under whose names a late write may be. So nothing is acknowledged."""

    class Forgetful(Emptied):
        def answer(self, step):
            said = super().answer(step)
            return {
                name: [NodeTimeout(node=name) if getattr(c, "name", b"") == state_key(FLEET) else r for c, r in both]
                for name, both in ((name, list(zip(step[name], said[name], strict=True))) for name in step)
            }

    assert played(Forgetful(ABC)).result is False


@pytest.mark.parametrize("phase", [Phase.PREPARE, Phase.COPY, Phase.FLIP, Phase.SETTLE])
def test_while_keys_move(phase):
    """No node is emptied: what is copied meanwhile from one that has yet to be emptied would be there again."""
    view = view_of(topology("abc", "abcd", phase))
    keepers = Emptied(view)
    play = played(keepers, view)
    assert play.result is True and [*filter(None, play.pauses)] == [view.hold] and keepers.emptied == []
    assert floors(keepers, "a") == dict.fromkeys("abcd", 1)


def test_nodes_with_neighbours():
    """A node that others use is not flushed: every slot there gets a new name, and each process has the time to learn
    it."""
    keepers = Emptied(ABC)
    play = played(keepers, shared="b")
    assert play.result is True and [*filter(None, play.pauses)] == [ABC.hold] and sorted(keepers.emptied) == ["a", "c"]
    assert floors(keepers, "a") == {"b": 1}


def test_a_node_that_does_not_do_it():
    """A node that refuses to be emptied is given up like one with neighbours."""
    keepers = Emptied(ABC, {"b": Refused("")})
    play = played(keepers)
    assert play.result is True and [*filter(None, play.pauses)] == [ABC.hold]
    assert keepers.state("a").generations["b"].floor == 1


@pytest.mark.parametrize("failure", [NodeTimeout(), ConnectionLost()])
def test_a_silent_node(failure):
    """A node that could not be flushed loses all of its slots instead."""
    keepers = Emptied(ABC, {"a": failure}, silent="a")
    play = played(keepers)
    assert play.result is True and not any(play.pauses)
    assert keepers.state("b").generations["a"].floor == 1


def test_a_node_that_was_silent_when_it_was_looked_at():
    """A node that does not answer the look is not asked for more, and loses all of its slots."""
    keepers = Emptied(ABC, silent="a")
    play = played(keepers, silent="a")
    assert play.result is True and not any(play.pauses) and sorted(keepers.emptied) == ["b", "c"]
    assert keepers.state("b").generations["a"].floor == 1


def test_what_is_out():
    """A node that is out of service holds nothing anybody reads, and is left alone."""
    nodes = layout("a", "b", "c").nodes
    view = view_of(Topology(5, replace(layout("a", "b", "c"), nodes=(replace(nodes[0], out=True), *nodes[1:]))))
    keepers = Emptied(view)
    assert played(keepers, view, shared="a").result is True and sorted(keepers.emptied) == ["b", "c"]


@pytest.mark.parametrize("shared", ["", "abc"])
def test_nothing_answers(shared):
    """A fleet of which nothing answers is not cleared."""
    assert played(Emptied(ABC, silent="abc"), shared=shared).result is False


def test_what_is_planted_is_what_is_known():
    """A keeper gets the state in the very batch that empties it."""
    keepers = Emptied(ABC)
    first = []
    answer = keepers.answer
    keepers.answer = lambda step: first.append(step) or answer(step)
    played(keepers)
    (batch,) = next(step for step in first if type(next(iter(step.values()))[0]) is Flush).values()
    assert [type(command) for command in batch] == [Flush, Store] and batch[1].add
