"""What a dump reads of a node."""

import pytest

from dcache_manager.snapshot.dump import read
from django_dcache.commands import Answer, Get, Value
from django_dcache.errors import Conflict, NodeTimeout
from support.played_flows import Play, topology, view_of

VIEW = view_of(topology("ab"))


def test_what_is_alive():
    """Values come with their TTL; not what is gone, a stub, or what has less than a second to live."""
    alive, late = Value(b"x", 3, 100), NodeTimeout(node="a")
    replies = [alive, Value(b"x", 0, None), Answer.MISS, Value(b"", 0, 9, stub=True), Value(b"x", 0, 0), late]
    names = [b"k%d" % number for number in range(len(replies))]
    asks = {Get(name, 0, ttl=True): reply for name, reply in zip(names, replies, strict=True)}
    found = Play(read(VIEW, VIEW.epoch, "a", names, [1] * len(names)), {"a": asks}).result
    assert found == [alive, Value(b"x", 0, None), None, None, None, late]


def test_generations():
    """A slot is read under the generation it has now."""
    view = view_of(VIEW.state.bumped({("a", 7): 2}))
    Play(
        read(view, view.epoch, "a", [b"k", b"l"], [7, 8]),
        {"a": {Get(b"k", 2, ttl=True): None, Get(b"l", 0, ttl=True): None}},
    )


def test_another_epoch():
    """Keys that were listed under another epoch are not asked for."""
    with pytest.raises(Conflict):
        Play(read(VIEW, VIEW.epoch - 1, "a", [b"k"], [1]))
