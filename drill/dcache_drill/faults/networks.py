"""Networks that lose, delay, repeat, cut and make up what they carry. The first worker meets nodes without them."""

import time
from collections.abc import Callable, Iterator, Sequence
from random import Random

from django_dcache.testing import FaultProxy

from ..arena import Arena, Worker
from .fault import fault

ERRORS = (b"SERVER_ERROR out of memory storing object", b"SERVER_ERROR temporary failure", b"SERVER_ERROR busy")


def _everybody(arena: Arena, chance: Random, switch: Callable[[FaultProxy], None], mark: str = "") -> Iterator[str]:
    """One node, seen over a broken network by all workers but the first."""
    name = chance.choice(arena.serving())
    yield from _broken(arena, [name], arena.workers, switch, f"{name}{mark}")


def _some(arena: Arena, chance: Random, switch: Callable[[FaultProxy], None], mark: str = "") -> Iterator[str]:
    """One or two workers that see one or two nodes over a broken network: everybody else sees them well."""
    workers = chance.sample(arena.workers[1:], chance.randint(1, 2))
    names = chance.sample(arena.serving(), chance.randint(1, 2))
    who = " ".join(f"w{worker.number}" for worker in workers)
    yield from _broken(arena, names, workers, switch, f"{who} × {' '.join(names)}{mark}")


def _broken(
    arena: Arena, names: Sequence[str], workers: Sequence[Worker], switch: Callable[[FaultProxy], None], words: str
) -> Iterator[str]:
    proxies = [proxy for name in names for proxy in arena.networks(name, workers)]
    for proxy in proxies:
        switch(proxy)
    yield words
    for proxy in proxies:
        proxy.heal()


@fault
def slow(arena: Arena, chance: Random) -> Iterator[str]:
    """Ten times as slow, or slower."""
    seconds = chance.choice((0.01, 0.04, 0.08))
    yield from _everybody(arena, chance, lambda proxy: proxy.delay(seconds, seconds), f" by {seconds} s")


@fault
def far(arena: Arena, chance: Random) -> Iterator[str]:
    """All nodes are far away: whatever can come between two steps of an operation does."""
    seconds = chance.choice((0.004, 0.01, 0.02))
    names = arena.serving() + arena.spare()
    yield from _broken(arena, names, arena.workers, lambda proxy: proxy.delay(seconds, seconds), f"{seconds} s")


@fault
def straggling(arena: Arena, chance: Random) -> Iterator[str]:
    """To half of the nodes commands take their time, each another: what is sent at once arrives at different times."""
    names = chance.sample(arena.serving(), -(-len(arena.serving()) // 2))
    seconds = arena.terms.timeout
    switch = lambda proxy: proxy.delay(seconds * 0.02, seconds * 0.5, "commands")  # noqa: E731
    yield from _broken(arena, names, arena.workers, switch, " ".join(names))


@fault
def operator_far(arena: Arena, chance: Random) -> Iterator[str]:
    """Whoever leads a resize is far from all nodes: much happens between what it reads and what it writes."""
    # Three rounds, there and back, have to fit into one operation's time, or no key is ever moved.
    seconds = arena.terms.timeout * chance.choice((0.02, 0.04, 0.06))
    for proxy in arena.operators.values():
        proxy.delay(seconds, seconds / 2, "both")
    yield f"{seconds:.2f} s"
    for proxy in arena.operators.values():
        proxy.heal()


@fault
def brink(arena: Arena, chance: Random) -> Iterator[str]:
    """Every node answers at the brink of being too late, and now and then beyond."""
    seconds = arena.terms.timeout
    switch = lambda proxy: proxy.delay(seconds * 0.02, seconds * chance.uniform(0.5, 0.6))  # noqa: E731
    yield from _broken(arena, arena.serving(), arena.workers, switch, "everywhere")


@fault
def late(arena: Arena, chance: Random) -> Iterator[str]:
    """Replies that come when nobody waits for them any more, or just so."""
    seconds = arena.terms.timeout
    yield from _some(arena, chance, lambda proxy: proxy.delay(seconds * 0.4, seconds))


@fault
def late_commands(arena: Arena, chance: Random) -> Iterator[str]:
    """Commands that arrive when nobody waits for them any more, or just so."""
    seconds = arena.terms.timeout
    yield from _some(arena, chance, lambda proxy: proxy.delay(seconds * 0.4, seconds * 4, "commands"))


@fault
def zombies(arena: Arena, chance: Random) -> Iterator[str]:
    """Commands that are held and delivered later, though their senders have given up."""
    name, words = chance.choice(arena.serving()), []
    proxies = list(arena.networks(name))
    for _ in range(chance.randint(1, 3)):
        for proxy in chance.sample(proxies, min(2, len(proxies))):
            proxy.hold()
        time.sleep(chance.uniform(0.2, 1.5))
        for proxy in proxies:
            proxy.release()
        words.append(name)
        time.sleep(chance.uniform(0.1, 0.5))
    yield name
    for proxy in proxies:
        proxy.heal()


@fault
def partition(arena: Arena, chance: Random) -> Iterator[str]:
    """Some workers are cut off from some nodes."""
    yield from _some(arena, chance, lambda proxy: proxy.blackhole("both"))


@fault
def one_way(arena: Arena, chance: Random) -> Iterator[str]:
    """Commands arrive, replies don't."""
    yield from _some(arena, chance, lambda proxy: proxy.blackhole("replies"))


@fault
def islands(arena: Arena, chance: Random) -> Iterator[str]:
    """Two workers are cut off from most of the keepers, and go on with the rest."""
    workers = chance.sample(arena.workers[1:], 2)
    names = arena.serving()[:3]
    yield from _broken(arena, names, workers, lambda proxy: proxy.blackhole("both"), f"{len(names)} nodes")


@fault
def half_open(arena: Arena, chance: Random) -> Iterator[str]:
    """New connections get no answer, old ones are dead and don't know."""

    def switch(proxy: FaultProxy) -> None:
        proxy.blackhole("both")
        proxy.ignore_connects()

    yield from _some(arena, chance, switch)


@fault
def resets(arena: Arena, chance: Random) -> Iterator[str]:
    """Connections are reset, again and again."""
    name = chance.choice(arena.serving())
    for _ in range(5):
        for proxy in arena.networks(name):
            proxy.drop_connections()
        time.sleep(0.05)
    yield name


@fault
def cut_in_value(arena: Arena, chance: Random) -> Iterator[str]:
    """Replies that end in the middle of the value."""
    reset = chance.random() < 0.5
    yield from _everybody(arena, chance, lambda proxy: proxy.cut_in_value(reset=reset, times=20))


@fault
def cut_anywhere(arena: Arena, chance: Random) -> Iterator[str]:
    """Connections that end after some hundred bytes of replies, wherever that is."""
    count, reset = chance.randint(1, 400), chance.random() < 0.5
    yield from _everybody(arena, chance, lambda proxy: proxy.cut_after(count, reset=reset, times=20))


@fault
def garbage(arena: Arena, chance: Random) -> Iterator[str]:
    """Bytes that no memcached ever sent."""
    yield from _everybody(arena, chance, lambda proxy: proxy.garbage(times=10))


@fault
def duplicates(arena: Arena, chance: Random) -> Iterator[str]:
    """Every reply comes twice, or only those with a value."""
    if chance.random() < 0.5:
        yield from _everybody(arena, chance, lambda proxy: proxy.duplicate_replies(times=200))
    else:
        twice = lambda reply: reply + reply if reply.startswith(b"VA") else None  # noqa: E731
        yield from _everybody(arena, chance, lambda proxy: proxy.tamper(twice, times=200), " values")


@fault
def dribble(arena: Arena, chance: Random) -> Iterator[str]:
    """Replies come byte by byte."""
    yield from _everybody(arena, chance, lambda proxy: proxy.dribble(0.01, times=20))


@fault
def server_errors(arena: Arena, chance: Random) -> Iterator[str]:
    """A node says that it could not, though it did."""
    line = chance.choice(ERRORS)
    yield from _everybody(arena, chance, lambda proxy: proxy.answer_error(line, times=200))
