"""The short cut does what the flows do: the same answers, the same items on the nodes, the same after a fault."""

import random

import pytest

from django_dcache.commands import Remove
from django_dcache.conf import parse
from django_dcache.flows import Item
from django_dcache.flows.count import NotANumber, count
from django_dcache.flows.read import fetch
from django_dcache.flows.write import touch, write
from django_dcache.model import keys
from django_dcache.runtime import shortcut as one
from django_dcache.runtime import shortcut_many as many
from django_dcache.runtime.fleet import Fleet
from django_dcache.runtime.shortcut import NeedsFlow
from django_dcache.values.plain import signed


class ByFlow:
    """Every operation through its flow."""

    def __init__(self, fleet):
        self.fleet = fleet

    def get(self, key, needs=None):
        value = self._run(needs, fetch, [keys.name(key)]).get(keys.name(key))
        return None if value is None else (value.flags, value.data)

    def store(self, key, flags, data, needs=None):
        return self._run(needs, write, {keys.name(key): Item(flags, data, 60)})[keys.name(key)].successful

    def remove(self, key, needs=None):
        return self._run(needs, write, {keys.name(key): None})[keys.name(key)].existed

    def count(self, key, delta, needs=None):
        try:
            return self._run(needs, count, keys.name(key), delta)
        except NotANumber:
            return "not a number"

    def touch(self, key, needs=None):
        return self._run(needs, touch, keys.name(key), 60)

    def get_many(self, wanted, needs=None):
        found = self._run(needs, fetch, [keys.name(key) for key in wanted])
        return {name.decode(): (value.flags, value.data) for name, value in found.items()}

    def store_many(self, items, needs=None):
        outcomes = self._run(needs, write, {keys.name(key): item for key, item in items.items()})
        return {name.decode() for name, outcome in outcomes.items() if not outcome.successful}

    def remove_many(self, wanted, needs=None):
        outcomes = self._run(needs, write, {keys.name(key): None for key in wanted})
        return {name.decode() for name, outcome in outcomes.items() if not outcome.acknowledged}

    def _run(self, needs, flow, *arguments):
        began, rounds = (needs.began, needs.rounds) if needs else (None, ())
        return self.fleet.run(flow, *arguments, began=began, rounds=rounds)


class ByShortCut(ByFlow):
    """Every operation straight to its nodes, and on from there through its flow where the short cut says so."""

    taken = 0

    def get(self, key):
        return self._short(lambda: one.get(self.fleet, key), super().get, key)

    def store(self, key, flags, data):
        return self._short(lambda: one.store(self.fleet, key, flags, data, 60) or True, super().store, key, flags, data)

    def remove(self, key):
        return self._short(lambda: one.remove(self.fleet, key), super().remove, key)

    def touch(self, key):
        return self._short(lambda: one.touch(self.fleet, key, 60), super().touch, key)

    def count(self, key, delta):
        return self._short(lambda: self._signed(one.count(self.fleet, key, delta)), super().count, key, delta)

    def get_many(self, wanted):
        return self._short(lambda: many.get_many(self.fleet, wanted), super().get_many, wanted)

    def store_many(self, items):
        return self._short(lambda: many.store_many(self.fleet, items) or set(), super().store_many, items)

    def remove_many(self, wanted):
        return self._short(lambda: many.remove_many(self.fleet, wanted) or set(), super().remove_many, wanted)

    def _signed(self, number):
        return None if number is None else signed(number)

    def _short(self, straight, flow, *arguments):
        try:
            answer = straight()
        except NeedsFlow as needs:
            return flow(*arguments, needs)
        self.taken += 1
        return answer


def made_up(chance, number):
    """One operation: its name and arguments. Values with line ends and words of the protocol among them."""
    key = f"k{chance.randrange(12)}"
    value = chance.choice([b"", b"5", b"HD O1\r\n", b"x" * 5000, b"\r\nEN\r\n", b"-", b"7" * 18])
    wanted = [f"k{chance.randrange(12)}" for _ in range(chance.randrange(1, 12))]
    return chance.choice(
        [
            ("get", (key,)),
            ("store", (key, number % 7, value)),
            ("remove", (key,)),
            ("touch", (key,)),
            ("count", (key, chance.randrange(-3, 4))),
            ("get_many", (list(dict.fromkeys(wanted)),)),
            ("store_many", (dict.fromkeys(wanted, Item(number % 5, value, 60)),)),
            ("remove_many", (list(dict.fromkeys(wanted)),)),
        ]
    )


@pytest.fixture
def fresh(fleet):
    """Fleets of three nodes of their own: `fresh(replicas, **options)`."""
    made = []

    def make(replicas, nodes=3, **options):
        addresses = options.pop("addresses", None) or fleet(nodes).addresses
        made.append(Fleet(parse("default", addresses, {"replicas": replicas, **options})))
        made[-1].proven_view()
        return made[-1]

    yield make
    for one_fleet in made:
        one_fleet.close()


@pytest.mark.parametrize("replicas", [1, 2, 3])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_sequence_of_operations_gives_the_same_answers(fresh, replicas, seed):
    """A thousand random operations answer alike by the short cut and by the flows."""
    chance = random.Random(seed)
    flow, short = ByFlow(fresh(replicas, timeout=5.0)), ByShortCut(fresh(replicas, timeout=5.0))
    for number in range(1000):
        operation, arguments = made_up(chance, number)
        expected = getattr(flow, operation)(*arguments)
        actual = getattr(short, operation)(*arguments)
        assert expected == actual, (number, operation, arguments)
    assert short.taken > 500


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_a_miss_asks_each_copy_and_takes_no_flow(fresh, replicas):
    """By the short cut alone, a key that no copy has is a miss, and one that only the last copy has is found there."""
    fleet = fresh(replicas)
    short = ByShortCut(fleet)
    for _ in range(2):  # The first time, by the flow, which connects to all of its copies.
        assert short.store("k", 0, b"value")
    name, _, plan = fleet.plans.place("k")
    *others, last = [copy.node for copy in plan.read]
    assert one.get(fleet, "k") == (0, b"value")
    for node in others:
        fleet.run(erase, node, name)
    assert one.get(fleet, "k") == (0, b"value")
    fleet.run(erase, last, name)
    assert one.get(fleet, "k") is None


def erase(view, node, key):
    """Delete one copy of a key and leave the others."""
    yield {node: [Remove(key, 0)]}


def test_a_large_value_comes_back_whole(fresh):
    """A value of many chunks is the same by both ways, alone and among others."""
    short = ByShortCut(fresh(1, nodes=1))
    value = bytes(range(256)) * 3000
    assert short.store("big", 3, value)
    assert (3, value) == short.get("big") == short.get_many(["big", "none"])["big"]
    assert {"a": (0, b"1"), "big": (3, value)} == (
        short.store_many({"a": Item(0, b"1")}),
        short.get_many(["a", "big"]),
    )[1]


def test_a_refused_value_takes_the_old_one_with_it(fresh):
    """A set of more than a node stores is False and leaves no older value behind, by the short cut too."""
    short = ByShortCut(fresh(2))
    assert short.store("k", 0, b"old")
    assert not short.store("k", 0, b"x" * 2_000_000)
    assert short.get("k") is None


def test_a_lost_reply_is_bumped_and_never_sent_again(fresh, node, proxy):
    """A count whose reply was lost is not repeated, and what it may have left behind is out of reach."""
    fleet = fresh(1, addresses=[node.address], timeout=0.1, address_remap=lambda address: proxy.address)
    short = ByShortCut(fleet)
    assert short.store("n", 2, b"1")
    proxy.cut_after(0, times=1)
    assert short.count("n", 1) is None
    assert int(node.ask(b"mg n v\r\nmn\r\n").split(b"\r\n")[1]) == 2
    fleet.proven_view()
    assert short.get("n") is None
