"""The rules for what a process keeps of what it has read (docs/adr/0030) as a model, on the clients of protocol.py.

Some clients are two threads of one process: they share their view and their entries. The memory of a request (docs/adr/
0036) keeps the same rules, for the threads and tasks of one request.

A read is wrong when it returns a value that a write had replaced which was acknowledged FRESH steps before the read
began, or to its own process before it began.

    python -m support.models.near RULE N
"""

import sys
from collections.abc import Generator
from typing import Any, NamedTuple

from support.models import protocol as protocol_model
from support.models.protocol import STABLE_N, STABLE_O, Client, World

FRESH = 40
"""Steps for which an entry is served, and for which a view counts as proven."""
RULES = {
    "ok": "the rules as they are",
    "time-of-reply": "an entry is as old as the reply, and not as the request",
    "no-view-check": "an entry is served by a process that has not proven its view",
    "no-generation-check": "an entry is served whatever was bumped since it was read",
    "own-not-dropped": "a process keeps an entry that it overwrites",
    "late-read": "what was asked for before an own write was answered comes in after it",
}
Script = Generator[Any, Any, Any]


class Entry(NamedTuple):
    """What a process keeps of the key."""

    version: int
    since: int
    generation: dict[str, int]
    phase: int


class Process:
    """What its threads share."""

    def __init__(self) -> None:
        self.entry: Entry | None = None
        self.view: tuple[int, dict[str, int], int] = (-1, {}, STABLE_O)
        self.writers, self.written = 0, -1
        self.acknowledged: list[tuple[int, int]] = []
        """Own writes: (step, version)."""


class _World(World):
    looks = 0.05
    numbers: tuple[int, ...] = ()

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.processes = [Process() for _ in range(4)]

    def process(self, c: Client) -> Process:
        return self.processes[self.numbers[self.clients.index(c)]]


def join(c: Client, must: bool) -> Process:
    """A thread goes by what its process knows, which it proves anew if it is too old and `must` be proven."""
    process = c.world.process(c)
    if process.view[0] > c.seen:
        c.seen, c.generation, c.phase = process.view
    if must and c.world.now - c.seen >= FRESH:
        c.look()
    share(c, process)
    c.running, c.viewed = c.phase, c.seen
    return process


def share(c: Client, process: Process) -> None:
    if c.seen > process.view[0]:
        process.view = c.seen, c.generation, c.phase


def served(c: Client, process: Process) -> int | None:
    """The version that is kept, if it may be served."""
    w, entry = c.world, process.entry
    if entry is None or w.now - entry.since >= FRESH:
        return None
    if w.now - c.seen >= FRESH and w.rule != "no-view-check":
        return None
    if (entry.generation, entry.phase) != (c.generation, c.phase) and w.rule != "no-generation-check":
        return None
    return entry.version


def read(c: Client) -> Script:
    """As `get` of a cache with a near cache."""
    w = c.world
    process = join(c, must=False)
    began, since = w.now, w.now
    found = served(c, process)
    if found is None:
        process = join(c, must=True)
        view = dict(c.generation), c.phase
        found = yield from nodes(c)
        share(c, process)
        if found is not None and c.phase in (STABLE_O, STABLE_N):
            late = process.writers or since <= process.written
            if not late or w.rule == "late-read":
                process.entry = Entry(found, w.now if w.rule == "time-of-reply" else since, *view)
    w.reads += 1
    if found is not None:
        w.hits += 1
        ended = w.ended.get(found, w.now)
        own = any(step < began and w.began[version] > ended for step, version in process.acknowledged)
        if own or w.outdated(found, began - FRESH):
            w.wrong.append((w.now, found, c.running))


def nodes(c: Client) -> Script:
    """What protocol.py's reader reads: it judges by its own measure, and returns nothing."""
    judged = len(c.world.wrong)
    found = yield from protocol_model.read(c)
    del c.world.wrong[judged:]
    return found


def write(c: Client) -> Script:
    """The entry is dropped before the write is sent and after it is answered."""
    w = c.world
    process = join(c, must=True)
    process.writers += 1
    if w.rule != "own-not-dropped":
        process.entry = None
    version = yield from protocol_model.write(c)
    share(c, process)
    process.writers -= 1
    process.written = w.now
    if w.rule != "own-not-dropped":
        process.entry = None
    if version is not None:
        process.acknowledged.append((w.now, version))


def either(c: Client) -> Script:
    """A thread that reads, and writes now and then."""
    yield from write(c) if c.world.random.random() < 0.2 else read(c)


CASTS = {
    "busy": ((either, 0), (read, 0), (read, 1), (read, 1), (either, 2), (protocol_model.move, 3)),
    "few": ((write, 0), (read, 1), (read, 1)),
}
"""Threads, and the process of each."""
SCHEDULES: tuple[tuple[str, str, dict[str, float]], ...] = (
    ("stable2", "busy", {}),
    ("stable2", "few", {"hang": 0.15}),
    ("move", "busy", {"hang": 0.04}),
    ("r2add", "busy", {"hang": 0.02, "restart": 0.004}),
)


def run(seed: int, rule: str, case: str, cast: str, **faults: float) -> World:
    """One random schedule; the world's `wrong` lists what should not have been."""
    scripts, processes = zip(*CASTS[cast], strict=True)

    class Ours(_World):
        numbers = processes

    return protocol_model.run(seed, case, rule, cast=scripts, world=Ours, **faults)


def main(rule: str = "", number: str = "300") -> None:
    for name in [rule] if rule else RULES:
        for case, cast, faults in SCHEDULES:
            worlds = [run(seed, name, case, cast, **faults) for seed in range(int(number))]
            wrong = [seed for seed, world in enumerate(worlds) if world.wrong]
            hits = sum(world.hits for world in worlds)
            line = f"{name:20} {case:8} {cast:5} {faults} {len(wrong)} of {number} wrong {wrong[:3]} {hits} hits"
            print(line, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
