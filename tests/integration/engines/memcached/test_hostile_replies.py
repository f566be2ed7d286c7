"""Whatever a node replies, it is a miss or a failed write within the deadline, and never a wrong value."""

from itertools import count

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.testing import CLOSE, RESET, LocalNode, truncated
from support.lying_node import LIES, Liar
from support.waiting import until

OLD, NEW, OTHER = "old value", "new value", "other value"
MISS = None
UNREADABLE = (LIES["flags of a pickle"], LIES["flags of nobody"])
_fleets = count()


@pytest.fixture(scope="module")
def liar():
    """A node that tells the truth so far."""
    with LocalNode() as node, Liar(node) as liar:
        yield liar


@pytest.fixture(scope="module")
def honest():
    """Two nodes that always tell the truth."""
    with LocalNode() as one, LocalNode() as two:
        yield one, two


class Site:
    """A cache that one process uses and another one looks at afterwards."""

    def __init__(self, liar, others, replicas):
        self.liar, self.addresses = liar, [liar.address, *(node.address for node in others)]
        self.options = {
            "timeout": 0.05,
            "freshness": 0.2,
            "connect_timeout": 1.0,
            "replicas": replicas,
            "fleet": f"f{next(_fleets)}",
        }
        # The honest nodes keep what other sites stored there, also under generations that this one is yet to reach.
        self.prefix = self.options["fleet"]
        self.caches = [self.process()]
        self.cache = self.caches[0]
        # Names of which the liar is the first replica.
        self.keys = [key for key in (f"k{i}" for i in range(400)) if self.first(key) == liar.address][:4]
        self.key = self.keys[0]

    def process(self, **options):
        """The cache as another process has it."""
        return DistributedCache(self.addresses, {"KEY_PREFIX": self.prefix, "OPTIONS": self.options | options})

    def first(self, key):
        return self.cache.fleet.view.place(self.cache.make_key(key).encode()).route.read[0].partition(" ")[0]

    def given(self, value, key=None):
        """The truth before the lie. Where the machine was too slow for it, once the slot is open again."""
        key = key or self.key
        assert until(lambda: self.cache.set(key, value) and self.cache.get(key) == value), "the node is too slow"

    def lies(self, lie):
        """From now on."""
        self.liar.lie = lie

    def seen(self, key=None):
        """What this process and a new one read once the node tells the truth again."""
        self.liar.lie = None
        self.liar.state_too = False
        self.caches.append(self.process(idle_connections=63))
        return {cache.get(key or self.key, MISS) for cache in self.caches}

    def close(self):
        self.liar.lie = None
        self.liar.state_too = False
        for cache in self.caches:
            cache.fleet.close()
        self.liar.node.ask(b"flush_all\r\n")


@pytest.fixture(params=["alone", "with a replica"])
def make_site(request, liar, honest):
    """Makes sites whose liar is the only node, or one of three with two replicas; each new to its nodes."""
    sites = []

    def make():
        alone = request.param == "alone"
        sites.append(Site(liar, () if alone else honest, 1 if alone else 2))
        return sites[-1]

    yield make
    for site in sites:
        site.close()


@pytest.fixture
def site(make_site):
    """One of them."""
    return make_site()


every_lie = pytest.mark.parametrize("lie", LIES.values(), ids=LIES)


@every_lie
def test_get(site, lie):
    """A get returns the value or a miss."""
    site.given(OLD)
    site.lies(lie())
    assert {site.cache.get(site.key, MISS) for _ in range(3)} <= {OLD, MISS}
    assert site.seen() <= {OLD, MISS}


@every_lie
def test_get_of_another_key(site, lie):
    """A get never returns what an earlier one asked for."""
    for key in site.keys:
        site.given(key, key)
    site.lies(lie())
    for key in site.keys * 2:
        assert site.cache.get(key, MISS) in (key, MISS)
    for key in site.keys:
        assert site.seen(key) <= {key, MISS}


@every_lie
def test_get_many(site, lie):
    """A get_many returns each key's own value or leaves it out."""
    for key in site.keys:
        site.given(key, key)
    site.lies(lie())
    for _ in range(2):
        assert all(key == value for key, value in site.cache.get_many(site.keys).items())
    site.liar.lie = None
    for key in site.keys:
        assert site.cache.get(key, MISS) in (key, MISS)


@every_lie
def test_set(site, lie):
    """After a set nobody reads the value before it, whether the set was good or not."""
    site.given(OLD)
    site.lies(lie())
    site.cache.set(site.key, NEW)
    assert site.seen() <= {NEW, MISS}


@every_lie
def test_set_many(site, lie):
    """Nor after a set_many."""
    for key in site.keys:
        site.given(OLD, key)
    site.lies(lie())
    failed = site.cache.set_many(dict.fromkeys(site.keys, NEW))
    assert set(failed) <= set(site.keys)
    for key in site.keys:
        assert site.seen(key) <= {NEW, MISS}


@every_lie
def test_delete(site, lie):
    """What was deleted is read by nobody."""
    site.given(OLD)
    site.lies(lie())
    assert site.cache.delete(site.key) in (True, False)
    assert site.seen() == {MISS}


@every_lie
def test_delete_many(site, lie):
    """Nor is any of what was deleted together."""
    for key in site.keys:
        site.given(OLD, key)
    site.lies(lie())
    site.cache.delete_many(site.keys)
    for key in site.keys:
        assert site.seen(key) == {MISS}


@every_lie
def test_add(site, lie):
    """An add stores its own value or none."""
    site.given(OTHER)
    site.cache.delete(site.key)
    site.lies(lie())
    added = site.cache.add(site.key, NEW)
    assert added in (True, False)
    assert site.seen() <= {NEW, MISS}


@every_lie
def test_add_of_what_is_there(site, lie):
    """An add never replaces what is there, unless its flags say that no process can read it."""
    site.given(OLD)
    site.lies(lie())
    site.cache.add(site.key, NEW)
    alone = len(site.addresses) == 1 and lie not in UNREADABLE
    assert site.seen() <= ({OLD, MISS} if alone else {OLD, MISS, NEW})


@every_lie
def test_touch(site, lie):
    """A touch changes no value."""
    site.given(OLD)
    site.lies(lie())
    assert site.cache.touch(site.key, 100) in (True, False)
    assert site.seen() <= {OLD, MISS}


@every_lie
def test_incr(site, lie):
    """A counter counts once, and the number that is returned is the one it holds; or it is gone, or did not count."""
    site.given(7)
    site.lies(lie())
    try:
        number = site.cache.incr(site.key)
    except ValueError:
        number = MISS
    assert number in (8, MISS)
    assert site.seen() <= ({8, MISS} if number == 8 else {7, 8, MISS})


@every_lie
def test_has_key(site, lie):
    """Whether a key exists is answered by yes or no."""
    site.given(OLD)
    site.lies(lie())
    assert site.cache.has_key(site.key) in (True, False)


@every_lie
def test_get_or_set(site, lie):
    """A get_or_set returns what is there or what it loads, and stores nothing else."""
    site.given(OLD)
    site.cache.delete(site.key)
    site.lies(lie())
    assert site.cache.get_or_set(site.key, lambda: NEW) == NEW
    assert site.seen() <= {NEW, MISS}


@every_lie
def test_clear(site, lie):
    """After a clear that says it was one, nothing is read that was there before."""
    site.given(OLD)
    site.lies(lie())
    cleared = site.cache.clear()
    assert site.seen() <= ({MISS} if cleared else {OLD, MISS})


@every_lie
def test_lies_about_the_state(site, lie):
    """If the fleet state is lied about too, reads and writes still raise nothing and return no wrong value."""
    site.given(OLD)
    site.liar.state_too = True
    site.lies(lie())
    fresh = site.process(idle_connections=62)
    site.caches.append(fresh)
    assert fresh.get(site.key, MISS) in (OLD, MISS)
    assert fresh.get_or_set(site.key, lambda: NEW) in (OLD, NEW)
    fresh.delete(site.key)
    assert fresh.get(site.key, MISS) in (MISS, NEW, OLD)


def incremented(cache, key):
    try:
        return cache.incr(key)
    except ValueError:
        return MISS


OPERATIONS = {
    "get": (lambda cache, key: cache.get(key), {7, MISS}, {7, MISS}),
    "get_many": (lambda cache, key: cache.get_many([key]).get(key), {7, MISS}, {7, MISS}),
    "set": (lambda cache, key: cache.set(key, 9), {True, False}, {9, MISS}),
    "set_many": (lambda cache, key: len(cache.set_many({key: 9})), {0, 1}, {9, MISS}),
    "delete": (lambda cache, key: cache.delete(key), {True, False}, {MISS}),
    "incr": (incremented, {8, MISS}, {7, 8, MISS}),
}
"""What is done to a key that holds 7; what may be returned; what may be read afterwards: 7, where it was not done."""


@pytest.mark.parametrize("ending", [CLOSE, RESET], ids=["closed", "reset"])
@pytest.mark.parametrize(("operate", "returned", "read"), OPERATIONS.values(), ids=OPERATIONS)
def test_truncation_at_every_byte(make_site, operate, returned, read, ending):
    """A reply that is cut off after any of its bytes is no reply."""
    for size in range(20):
        site = make_site()
        site.given(7)
        site.lies(lambda reply, size=size: truncated(reply, min(size, len(reply) - 1), ending))
        answer = operate(site.cache, site.key)
        assert answer in returned
        assert site.seen() <= (read - {7} if answer == 8 else read)
        site.close()
