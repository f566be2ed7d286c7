"""The short cut does what the flows do: the same answers in any sequence of operations, and it is really taken.

What both do while a node is at fault is in tests/conformance/test_roads.py.
"""

import random
from itertools import count

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.commands import Remove
from django_dcache.model import keys
from support.roads import take_the_flow

OPERATIONS = 1000
_serials = count()


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("delta", [1, 2, 7, 2**63])
def test_a_number_that_would_be_too_large(fleet, replicas, delta):
    """Counting past 64 bits is an OverflowError, also where the node would go on from 0, and the number stays."""
    cache = DistributedCache(fleet(2).addresses, {"OPTIONS": {"replicas": replicas}})
    for before in {2**64 - 1, 2**64 - delta}:
        assert cache.set("number", before, None)
        with pytest.raises(OverflowError):
            cache.incr("number", delta)
        assert cache.get("number") == before
    cache.fleet.close()


class Watched(DistributedCache):
    """Counts the operations that took a flow."""

    flows = 0

    def _run(self, *arguments):
        self.flows += 1
        return super()._run(*arguments)


def made_up(chance, number):
    """One operation: its name and arguments. Values with line ends and words of the protocol among them."""
    key = f"k{chance.randrange(12)}"
    value = chance.choice([b"", b"5", b"HD O1\r\n", b"x" * 5000, b"\r\nEN\r\n", b"-", 7, -3, 10**18, "text", None])
    several = list(dict.fromkeys(f"k{chance.randrange(12)}" for _ in range(chance.randrange(1, 12))))
    return chance.choice(
        [
            ("get", (key, number)),
            ("has_key", (key,)),
            ("get_or_set", (key, value)),
            ("set", (key, value)),
            ("add", (key, value)),
            ("touch", (key, 60)),
            ("delete", (key,)),
            ("incr", (key, chance.randrange(-3, 4))),
            ("get_many", (several,)),
            ("set_many", (dict.fromkeys(several, value),)),
            ("delete_many", (several,)),
        ]
    )


def done(cache, operation, arguments):
    """What it returns, or the kind of what it raises."""
    try:
        return getattr(cache, operation)(*arguments)
    except (ValueError, TypeError) as error:
        return type(error)


@pytest.fixture
def made(fleet):
    """Caches on three nodes of their own: `made(replicas)`."""
    caches = []

    def make(replicas, nodes=3, engine="memcached", **more):
        # So long that neither a proof of the state nor a slow machine comes in between.
        options = {"replicas": replicas, "timeout": 10.0, "freshness": 600, "fleet": f"shortcut{next(_serials)}"}
        options |= more
        caches.append(Watched(fleet(nodes, engine=engine).addresses, {"OPTIONS": options}))
        caches[-1].set_many({f"connect{number}": 1 for number in range(50)})
        return caches[-1]

    yield make
    for cache in caches:
        cache.fleet.close()


@pytest.mark.parametrize("engine", ["memcached", "redis"])
@pytest.mark.parametrize("replicas", [1, 2, 3])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_sequence_of_operations_gives_the_same_answers(made, replicas, seed, engine):
    """A thousand random operations answer alike by the short cut and by the flows."""
    chance = random.Random(seed)
    flow, short = made(replicas, engine=engine), made(replicas, engine=engine)
    flow.flows = short.flows = 0
    for number in range(OPERATIONS):
        operation, arguments = made_up(chance, number)
        take_the_flow(flow)
        expected = done(flow, operation, arguments)
        assert done(short, operation, arguments) == expected, (number, operation, arguments)
    assert short.flows < OPERATIONS / 2 < flow.flows


@pytest.mark.parametrize("engine", ["memcached", "redis"])
@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_a_miss_asks_each_copy_and_takes_no_flow(made, replicas, engine):
    """By the short cut alone, a key that no copy has is a miss, and one that only the last copy has is found there."""
    cache = made(replicas, engine=engine)
    assert cache.set("k", "value") and cache.get("k") == "value"
    view, name = cache.fleet.view, keys.name(cache.make_key("k"))
    *first, last = view.read_order(view.place(name).route)
    cache.flows = 0
    for node in first:
        cache.fleet.run(erase, node, name)
    assert cache.get("k") == "value"
    cache.fleet.run(erase, last, name)
    assert cache.get("k") is None
    assert not cache.flows


def erase(view, node, name):
    """Delete one copy of a key and leave the others."""
    yield {node: [Remove(name, 0)]}


@pytest.mark.parametrize("engine", ["memcached", "redis"])
def test_a_large_value_comes_back_whole(made, engine):
    """A value of many chunks comes back by the short cut, alone and among others."""
    cache = made(1, nodes=1, engine=engine)
    value = bytes(range(256)) * 3000
    assert cache.set("big", value)
    assert cache.get("big") == cache.get_many(["big", "none"])["big"] == value
    assert cache.set_many({"a": 1, "big": value}) == [] and cache.get_many(["a", "big"]) == {"a": 1, "big": value}


def test_a_refused_value_takes_the_old_one_with_it(made):
    """A set of more than a node stores is False and leaves no older value behind."""
    cache = made(2, chunk_bytes=0)
    assert cache.set("k", "old")
    assert not cache.set("k", b"x" * 2_000_000)
    assert cache.get("k") is None


def test_a_lost_reply_is_bumped_and_never_sent_again(fleet, node, proxy):
    """A count whose reply was lost is not repeated, and what it may have left behind is out of reach."""
    options = {"timeout": 10.0, "freshness": 600, "address_remap": lambda address: proxy.address}
    cache = DistributedCache([node.address], {"OPTIONS": options})
    assert cache.set("n", 1) and cache.incr("n") == 2
    proxy.cut_after(0, times=1)
    with pytest.raises(ValueError, match="not found"):
        cache.incr("n")
    assert node.ask(f"mg {cache.make_key('n')} v\r\nmn\r\n".encode()).split(b"\r\n")[1] == b"3"
    assert cache.get("n") is None
    cache.fleet.close()
