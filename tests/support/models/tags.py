"""The rules for tags (docs/adr/0035) as a model, on the nodes and clients of protocol.py.

A row of the database is cached under one key, with one tag. A tag is an item that holds a random version; what is
stored carries the version that was read *before* the row was loaded, and is read only while the tag has that very
version. A change of the row deletes the tag. Clients keep the versions that they read for a moment, as the near cache
keeps values.

A visit is wrong when it returns a row whose change was acknowledged FRESH steps before the visit began, or by the
visitor itself.

    python -m support.models.tags RULE N
"""

import sys
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

from support.models import protocol as protocol_model
from support.models.protocol import CASES, Client, World

CASES["single"] = (["A"], ["A"])
FRESH = 40
"""Steps for which a version is kept, and for which a view counts as proven."""
RULES = {
    "ok": "the rules as they are",
    "versions-after-load": "the version is read after the row was loaded",
    "missing-is-unchanged": "a tag that is missing counts as unchanged",
    "same-again": "a tag that is missing gets the version that it had before",
    "unleased": "a version that is new is stored on the other copies without a lease on them",
    "no-bump": "the lost reply to the deletion of a tag bumps nothing",
    "time-of-reply": "a version is kept from the moment at which its reply came",
    "no-view-check": "a version that is kept is used by a client that has not proven its view",
    "own-not-dropped": "a client keeps the version of a tag that it invalidates itself",
}
Script = Generator[Any, Any, Any]


class Stored(NamedTuple):
    """What lies under the key."""

    row: int
    version: float


class Kept(NamedTuple):
    """A version that a client keeps."""

    version: float
    since: int
    generation: dict[str, int]


class Node(protocol_model.Node):
    def execute(self, verb: str, key: str, arg: Any = None, token: Any = None) -> Any:
        if verb == "add":
            item = self.items.get(key)
            if item is not None and item[0] is not None:
                return ("VA", item[0])
            verb = "ms"
        return super().execute(verb, key, arg, token)


def at(c: Client, node: str, what: str) -> str:
    return f"{what}@{c.generation[node]}"


def usable(c: Client) -> list[str]:
    return [node for node in c.world.old if c.usable(node)]


def fetch(c: Client, what: str) -> Script:
    """What the first copy that has it holds."""
    for node in sorted(usable(c), key=lambda _: c.world.random.random()):
        reply = (yield {node: [("mg", at(c, node, what))]})[node]
        if reply and reply[0][0] == "VA":
            return reply[0][1]
    return None


def tell(c: Client, *command: Any) -> Script:
    """Every copy; one that is silent is bumped."""
    verb, what, *more = command
    nodes = usable(c)
    if not nodes:
        return
    replies = yield {node: [(verb, at(c, node, what), *more)] for node in nodes}
    silent = [node for node in nodes if replies[node] is None]
    if silent and c.world.rule != "no-bump":
        yield ("bump", silent)


def version(c: Client, fresh: bool = True) -> Script:
    """The version of the tag, or None if it is missing."""
    w, kept = c.world, kept_by(c)
    if kept and kept.generation == c.generation and not fresh and w.now - kept.since < FRESH:
        return kept.version
    since = w.now
    found = yield from fetch(c, "t")
    keep(c, found, w.now if w.rule == "time-of-reply" else since)
    return found


def kept_by(c: Client) -> Any:
    return c.world.kept.get(id(c))


def keep(c: Client, found: float | None, since: int) -> None:
    if found is None:
        c.world.kept.pop(id(c), None)
    else:
        c.world.kept[id(c)] = Kept(found, since, dict(c.generation))


def made(c: Client) -> Script:
    """The version of the tag; a random one if it was missing."""
    w, since = c.world, c.world.now
    if (found := (yield from version(c))) is not None:
        return found
    new = 0.0 if w.rule == "same-again" else w.random.random()
    first, *others = usable(c) or [None]
    if first is None:
        return new
    born = {node: w.nodes[node].incarnation for node in others}
    leases = (yield {node: [("mg", at(c, node, "t"), "lease")] for node in others}) if others else {}
    for node in others:
        if leases[node] and leases[node][0][0] == "VA":
            return leases[node][0][1]
    reply = (yield {first: [("add", at(c, first, "t"), new)]})[first]
    if reply is None:
        yield ("bump", [first])
        return new
    if reply[0][0] == "VA":
        return reply[0][1]
    for node in others:
        if w.rule == "unleased":
            token = None
        elif leases[node] and leases[node][0][0] == "W" and w.nodes[node].incarnation == born[node]:
            token = leases[node][0][1]
        else:
            continue
        if (yield {node: [("ms", at(c, node, "t"), new, token)]})[node] is None:
            yield ("bump", [node])
    keep(c, new, since)
    return new


def load(c: Client) -> Script:
    """A loader that is slow before and after it sees the row."""
    yield {c.world.names[0]: [("mg", "nothing")]}
    row = c.world.row
    yield {c.world.names[0]: [("mg", "nothing")]}
    return row


def visit(c: Client) -> Script:
    """As `get_or_set(key, load, tags=[tag])`."""
    w = c.world
    kept = kept_by(c)
    if w.now - c.seen >= FRESH and not (w.rule == "no-view-check" and kept):
        prove(c)
    began, since = w.now, w.now - FRESH
    found = yield from fetch(c, "k")
    if found is not None:
        now = yield from version(c, fresh=False)
        if now is not None and now != found.version:
            now = yield from version(c)  # Another client may have stored by a version that is not kept here yet.
        if now == found.version or (now is None and w.rule == "missing-is-unchanged"):
            w.hits += 1
            own = max((row for client, row, ended in w.changes if client is c and ended <= began), default=0)
            known = max((row for _, row, ended in w.changes if ended <= since), default=0)
            if found.row < max(own, known):
                w.wrong.append((w.now, found.row, "invalidated"))
            return
    if w.rule == "versions-after-load":
        row = yield from load(c)
        of = yield from made(c)
    else:
        of = yield from made(c)
        row = yield from load(c)
    yield from tell(c, "ms", "k", Stored(row, of))


def prove(c: Client) -> None:
    c.look()
    c.viewed = c.seen


def change(c: Client) -> Script:
    """The row, and then its tag."""
    w = c.world
    if w.random.random() < 0.7:
        yield {w.names[0]: [("mg", "nothing")]}
        return
    if w.now - c.seen >= FRESH:
        prove(c)
    w.row += 1
    row = w.row
    if w.rule != "own-not-dropped":
        keep(c, None, 0)
    yield from tell(c, "md", "t")
    if w.rule != "own-not-dropped":
        keep(c, None, 0)
    w.changes.append((c, row, w.now))


def either(c: Client) -> Script:
    """A client that changes rows, and looks at them."""
    yield from change(c) if c.world.random.random() < 0.3 else visit(c)


class _World(World):
    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.row = 0
        self.changes: list[tuple[Client, int, int]] = []
        self.kept: dict[int, Kept] = {}


CASTS: dict[str, tuple[Callable[[Client], Script], ...]] = {
    "busy": (visit, visit, visit, either, either, change),
    "few": (visit, either, change),
}


SCHEDULES: tuple[tuple[str, str, dict[str, float]], ...] = (
    ("single", "busy", {}),
    ("single", "busy", {"hang": 0.04}),
    ("stable2", "busy", {"hang": 0.02, "restart": 0.004}),
    ("stable2", "few", {"hang": 0.05, "evict": 0.3}),
)


def run(seed: int, rule: str, case: str = "stable2", cast: str = "busy", **faults: float) -> World:
    """One random schedule; the world's `wrong` lists what should not have been."""
    return protocol_model.run(seed, case, rule, cast=CASTS[cast], node=Node, world=_World, **faults)


def main(rule: str = "", number: str = "300") -> None:
    for name in [rule] if rule else RULES:
        for case, cast, faults in SCHEDULES:
            wrong = [seed for seed in range(int(number)) if run(seed, name, case, cast, **faults).wrong]
            print(f"{name:20} {case:8} {cast:5} {faults} {len(wrong)} of {number} wrong {wrong[:3]}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
