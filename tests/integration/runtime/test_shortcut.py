"""The short cut does what the flows do: the same answers, the same items on the nodes, the same after a fault."""

import random

import pytest
from django_dcache.runtime.plan import TakeFlow

from django_dcache.commands import Remove
from django_dcache.conf import parse
from django_dcache.flows import Item
from django_dcache.flows.count import NotANumber, count
from django_dcache.flows.read import fetch
from django_dcache.flows.write import write
from django_dcache.model import keys
from django_dcache.runtime import shortcut as one
from django_dcache.runtime import shortcut_many as many
from django_dcache.runtime.fleet import Fleet


class ByFlow:
    """Every operation through its flow."""

    def __init__(self, fleet):
        self.fleet = fleet

    def get(self, key):
        value = self.fleet.run(fetch, [keys.name(key)]).get(keys.name(key))
        return None if value is None else (value.flags, value.data)

    def store(self, key, flags, data):
        return self.fleet.run(write, {keys.name(key): Item(flags, data, 60)})[keys.name(key)].successful

    def remove(self, key):
        outcome = self.fleet.run(write, {keys.name(key): None})[keys.name(key)]
        return outcome.existed, outcome.acknowledged

    def count(self, key, delta):
        try:
            return self.fleet.run(count, keys.name(key), delta)
        except NotANumber:
            return "not a number"

    def get_many(self, wanted):
        found = self.fleet.run(fetch, [keys.name(key) for key in wanted])
        return {name.decode(): (value.flags, value.data) for name, value in found.items()}

    def store_many(self, items):
        outcomes = self.fleet.run(write, {keys.name(key): Item(*item, 60) for key, item in items.items()})
        return {name.decode() for name, outcome in outcomes.items() if not outcome.successful}

    def remove_many(self, wanted):
        outcomes = self.fleet.run(write, {keys.name(key): None for key in wanted})
        return {name.decode() for name, outcome in outcomes.items() if not outcome.acknowledged}


class ByShortCut(ByFlow):
    """Every operation straight to its nodes; through its flow only where the short cut says so."""

    taken = 0

    def _short(self, straight, flow):
        try:
            answer = straight()
        except TakeFlow:
            return flow()
        self.taken += 1
        return answer

    def get(self, key):
        return self._short(lambda: one.get(self.fleet, key), lambda: ByFlow.get(self, key))

    def store(self, key, flags, data):
        return self._short(
            lambda: one.store(self.fleet, key, flags, data, 60), lambda: ByFlow.store(self, key, flags, data)
        )

    def remove(self, key):
        return self._short(lambda: one.remove(self.fleet, key), lambda: ByFlow.remove(self, key))

    def count(self, key, delta):
        return self._short(lambda: one.count(self.fleet, key, delta), lambda: ByFlow.count(self, key, delta))

    def get_many(self, wanted):
        found, rest = many.get_many(self.fleet, wanted)
        self.taken += not rest
        return found | (ByFlow.get_many(self, rest) if rest else {})

    def store_many(self, items):
        failed, rest = many.store_many(self.fleet, items, 60)
        self.taken += not rest
        return failed | (ByFlow.store_many(self, {key: items[key] for key in rest}) if rest else set())

    def remove_many(self, wanted):
        failed, rest = many.remove_many(self.fleet, wanted)
        self.taken += not rest
        return failed | (ByFlow.remove_many(self, rest) if rest else set())


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
            ("count", (key, chance.randrange(-3, 4))),
            ("get_many", (list(dict.fromkeys(wanted)),)),
            ("store_many", (dict.fromkeys(wanted, (number % 5, value)),)),
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
    flow, short = ByFlow(fresh(replicas)), ByShortCut(fresh(replicas))
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
    known = fleet.view.known["k"]
    assert one.get(fleet, "k") == (0, b"value")
    for spot in known.copies[:-1]:
        fleet.run(erase, spot.node, spot.key)
    assert one.get(fleet, "k") == (0, b"value")
    fleet.run(erase, known.copies[-1].node, known.copies[-1].key)
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
    assert {"a": (0, b"1"), "big": (3, value)} == (short.store_many({"a": (0, b"1")}), short.get_many(["a", "big"]))[1]


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
