"""Networks that lose, delay, repeat, cut and make up what they carry. The first worker meets nodes without them."""

import time
from collections.abc import Callable, Iterator, Sequence
from random import Random

from django_dcache.testing import FaultProxy

from ..testbed import Testbed, Worker

Switch = Callable[[FaultProxy], None]
"""Switches a fault on."""
ERRORS = (b"SERVER_ERROR out of memory storing object", b"SERVER_ERROR temporary failure", b"SERVER_ERROR busy")


def _all_workers(testbed: Testbed, chance: Random, switch: Switch, mark: str = "") -> Iterator[str]:
    """One node, met over a broken network by every worker that has one."""
    name = chance.choice(testbed.serving())
    yield from _broken(testbed, [name], None, switch, f"{name}{mark}")


def _some_workers(testbed: Testbed, chance: Random, switch: Switch, mark: str = "") -> Iterator[str]:
    """One or two workers that meet one or two nodes over a broken network; all other workers meet them as ever."""
    workers = chance.sample(testbed.networked(), chance.randint(1, 2))
    names = chance.sample(testbed.serving(), chance.randint(1, 2))
    who = " ".join(f"w{worker.number}" for worker in workers)
    yield from _broken(testbed, names, workers, switch, f"{who} × {' '.join(names)}{mark}")


def _broken(
    testbed: Testbed,
    names: Sequence[str],
    workers: Sequence[Worker] | None,
    switch: Switch,
    words: str,
) -> Iterator[str]:
    proxies = [proxy for name in names for proxy in testbed.networks(name, workers)]
    for proxy in proxies:
        switch(proxy)
    yield words
    for proxy in proxies:
        proxy.heal()


def slow(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Ten times as slow, or slower."""
    seconds = testbed.plan.timeout * chance.choice((0.05, 0.2, 0.35))
    yield from _all_workers(testbed, chance, lambda proxy: proxy.delay(seconds, seconds / 4), f" by {seconds:.2f} s")


def far(testbed: Testbed, chance: Random) -> Iterator[str]:
    """All nodes are far away: whatever can come between two steps of an operation does."""
    seconds = chance.choice((0.004, 0.01, 0.02))
    names = testbed.serving() + testbed.spare()
    yield from _broken(testbed, names, None, lambda proxy: proxy.delay(seconds, seconds), f"{seconds} s")


def straggling(testbed: Testbed, chance: Random) -> Iterator[str]:
    """To half of the nodes commands take their time, each another: what is sent at once arrives at different times."""
    names = chance.sample(testbed.serving(), -(-len(testbed.serving()) // 2))
    seconds = testbed.plan.timeout
    switch = lambda proxy: proxy.delay(seconds * 0.02, seconds * 0.5, "commands")  # noqa: E731
    yield from _broken(testbed, names, None, switch, " ".join(names))


def conductor_far(testbed: Testbed, chance: Random) -> Iterator[str]:
    """The process that leads a resize is far from all nodes: much happens between what it reads and what it writes."""
    # Three rounds, there and back, have to fit into one operation's time, or no key is ever moved.
    seconds = testbed.plan.timeout * chance.choice((0.02, 0.04, 0.06))
    for proxy in testbed.conductors.values():
        proxy.delay(seconds, seconds / 2, "both")
    yield f"{seconds:.2f} s"
    for proxy in testbed.conductors.values():
        proxy.heal()


def brink(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Every node answers at the brink of being too late, and now and then beyond."""
    seconds = testbed.plan.timeout
    switch = lambda proxy: proxy.delay(seconds * 0.02, seconds * chance.uniform(0.5, 0.6))  # noqa: E731
    yield from _broken(testbed, testbed.serving(), None, switch, "everywhere")


def late(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Replies that come when the worker has given them up, or just before."""
    seconds = testbed.plan.timeout
    yield from _some_workers(testbed, chance, lambda proxy: proxy.delay(seconds * 0.4, seconds))


def late_commands(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Commands that arrive when the worker has given them up, or just before."""
    seconds = testbed.plan.timeout
    yield from _some_workers(testbed, chance, lambda proxy: proxy.delay(seconds * 0.4, seconds * 4, "commands"))


def zombies(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Commands that are held and delivered later, though their senders have given up."""
    name, words = chance.choice(testbed.serving()), []
    proxies = list(testbed.networks(name))
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


def partition(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Some workers are cut off from some nodes."""
    yield from _some_workers(testbed, chance, lambda proxy: proxy.blackhole("both"))


def one_way(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Commands arrive, replies don't."""
    yield from _some_workers(testbed, chance, lambda proxy: proxy.blackhole("replies"))


def islands(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Two workers are cut off from most of the keepers, and continue with the rest."""
    workers = chance.sample(testbed.networked(), 2)
    names = testbed.serving()[:3]
    yield from _broken(testbed, names, workers, lambda proxy: proxy.blackhole("both"), f"{len(names)} nodes")


def half_open(testbed: Testbed, chance: Random) -> Iterator[str]:
    """New connections get no answer, old ones are dead and don't know."""

    def switch(proxy: FaultProxy) -> None:
        proxy.blackhole("both")
        proxy.ignore_connects()

    yield from _some_workers(testbed, chance, switch)


def resets(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Connections are reset, again and again."""
    name = chance.choice(testbed.serving())
    for _ in range(5):
        for proxy in testbed.networks(name):
            proxy.drop_connections()
        time.sleep(0.05)
    yield name


def cut_in_value(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Replies that end in the middle of the value."""
    reset = chance.random() < 0.5
    yield from _all_workers(testbed, chance, lambda proxy: proxy.cut_in_value(reset=reset, times=20))


def cut_anywhere(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Connections that end after some hundred bytes of replies, wherever that is."""
    count, reset = chance.randint(1, 400), chance.random() < 0.5
    yield from _all_workers(testbed, chance, lambda proxy: proxy.cut_after(count, reset=reset, times=20))


def garbage(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Bytes that no memcached ever sent."""
    yield from _all_workers(testbed, chance, lambda proxy: proxy.garbage(times=10))


def duplicates(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Every reply comes twice, or only those with a value."""
    if chance.random() < 0.5:
        yield from _all_workers(testbed, chance, lambda proxy: proxy.duplicate_replies(times=200))
    else:
        twice = lambda reply: reply + reply if reply.startswith(b"VA") else None  # noqa: E731
        yield from _all_workers(testbed, chance, lambda proxy: proxy.tamper(twice, times=200), " values")


def dribble(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Replies come byte by byte."""
    yield from _all_workers(testbed, chance, lambda proxy: proxy.dribble(0.01, times=20))


def server_errors(testbed: Testbed, chance: Random) -> Iterator[str]:
    """A node says that it could not, though it did."""
    line = chance.choice(ERRORS)
    yield from _all_workers(testbed, chance, lambda proxy: proxy.answer_error(line, times=200))


def cut_off(testbed: Testbed, chance: Random) -> Iterator[str]:
    """One worker has no network at all, and gets it back: its trouble must not become that of the others."""
    worker = chance.choice(testbed.networked())
    switch, how = chance.choice(_AWAY)
    yield from _broken(testbed, testbed.serving(), [worker], switch, f"w{worker.number} {how}")


def split(testbed: Testbed, chance: Random) -> Iterator[str]:
    """Half of the workers and a minority of the nodes see only each other, until no proof from before is good; so do
    the rest of both. The minority's own network says that the others are out of reach, or is silent too."""
    names, workers = testbed.serving(), testbed.networked()
    few = max(1, (len(names) - 1) // 2)
    # The last ones keep no fleet state, if there are more than five: a worker that sees only them hears of nothing.
    near_names = names[-few:] if chance.random() < 0.5 else chance.sample(names, few)
    near = chance.sample(workers, len(workers) // 2)
    switch, how = chance.choice(_AWAY)
    sides = [
        (near, [name for name in names if name not in near_names], switch),
        ([worker for worker in workers if worker not in near], near_names, _silence),
    ]
    testbed.excused = True
    broken = [(proxy, switch) for side, far, switch in sides for name in far for proxy in testbed.networks(name, side)]
    for proxy, switch in broken:
        switch(proxy)
    time.sleep(testbed.plan.hold)
    yield f"{' '.join(f'w{worker.number}' for worker in near)} with {' '.join(near_names)}, the rest {how}"
    for proxy, _ in broken:
        proxy.heal()


def _silence(proxy: FaultProxy) -> None:
    proxy.blackhole("both")


def _refuse(proxy: FaultProxy) -> None:
    proxy.refuse()
    proxy.drop_connections()


_AWAY: Sequence[tuple[Switch, str]] = ((_silence, "silent"), (_refuse, "refused"))
"""How what can't be reached looks."""
