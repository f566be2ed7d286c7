"""The rules for prefixes (docs/adr/0028) as a model, on the nodes and clients of protocol.py.

An invalidation raises the generation of the prefix, which clients learn of late. The name of the key stays; each item
carries the generation that its writer knew, its *stamp*. Here a stamp has two bits: every fourth generation renames.

    python -m support.models.prefixes RULE N
"""

import sys
from collections.abc import Callable, Generator
from typing import Any

from support.models import protocol as protocol_model
from support.models.protocol import CASES, Client, World

CASES["single"] = (["A"], ["A"])
STAMPS = 4
IDLE = 0.9
PREFIX = "prefix"
RULES = {
    "ok": "the rules as they are",
    "unstamped": "items do not say under which generation they were stored",
    "restamped": "what is copied is not looked at, and gets the stamp of the client that copies it",
    "newer-is-absent": "an item of a generation that this client does not know yet counts as absent",
    "old-is-present": "an item of an older generation keeps an addition from being made",
    "no-token": "an item of an older generation is replaced without its token",
    "blind": "a count does not look at the stamp",
    "known-next": "two that invalidate at once agree on one generation, although the first has stored under it by now",
    "no-rename": "the name stays when the stamps begin anew",
    "rename-at-once": "a new name is written to at once, before every client knows of it",
}
Script = Generator[Any, Any, Any]


class Stamped(int):
    """The version that an item holds, and its stamp."""

    stamp: int = 0


def stamp(version: int, generation: int) -> Stamped:
    stamped = Stamped(version)
    stamped.stamp = generation
    return stamped


class Node(protocol_model.Node):
    """With commands for additions and counts, and replies that tell tokens."""

    def execute(self, verb: str, key: str, arg: Any = None, token: Any = None) -> Any:
        item = self.items.get(key)
        if verb == "add":
            if item is not None:
                return ("NS", item[0], item[1])
            verb = "ms"
        elif verb == "incr":
            if item is None or item[0] is None:
                return ("NF", None)
            self._store(key, stamp(item[0] + 1, item[0].stamp))
            return ("VA", self.items[key][0])
        elif verb == "replace":  # What a lock that may be held is replaced by.
            if token is None or (item is not None and item[1] == token):
                held = item is not None and item[0] is not None and item[0].stamp == self.world.generation[PREFIX]
                self._store(key, arg)
                return ("HD", held, self.cas)
            return ("EX", None)
        reply = super().execute(verb, key, arg, token)
        return (*reply, item[1]) if reply[0] in ("VA", "Z") and item else (*reply, self.cas)


def generation(c: Client) -> int:
    number: int = c.generation[PREFIX]
    return number


def older(c: Client, there: Stamped) -> bool:
    """Whether an item was stored under a generation before the one that this client knows."""
    if c.world.rule == "unstamped":
        return False
    if c.world.rule == "newer-is-absent":
        return there.stamp != generation(c)
    if c.world.rule == "no-rename":
        return there.stamp % STAMPS < generation(c) % STAMPS
    return there.stamp < generation(c)


def named(c: Client, key: str, of: int) -> str:
    return key if c.world.rule == "no-rename" else f"{key}~{of // STAMPS}"


def young(c: Client) -> bool:
    """Whether the name is so new that a client may still write to the one before."""
    w, renamed = c.world, generation(c) // STAMPS * STAMPS
    bumped = w.bumped.get((PREFIX, renamed))
    if bumped is None or w.rule in ("rename-at-once", "no-rename"):
        return False
    return not all((o.viewed if o.waiting is not None else o.seen) > bumped for o in w.clients)


def below_prefix(script: Callable[[Client], Script], reads: bool = False) -> Callable[[Client], Script]:
    """`script` of protocol.py, with a key below the prefix: its commands carry stamps, and an older item is a stub."""

    def run(c: Client) -> Script:
        w, of, since, holds_back = c.world, generation(c), c.seen, young(c)
        flow, answer = script(c), None
        while True:
            try:
                step = flow.send(answer)
            except StopIteration:
                return
            if not isinstance(step, dict):
                answer = yield step
                continue
            answer = yield {
                node: [_stamped(c, of, holds_back, command) for command in commands] for node, commands in step.items()
            }
            for node, commands in step.items():
                for number, command in enumerate(commands if answer[node] else ()):
                    reply = answer[node][number]
                    if reply[0] == "VA" and command[0] == "mg":
                        if older(c, reply[1]) and not (w.rule == "restamped" and not reads):
                            reply = yield from _vacate(c, of, node, command, reply)
                        elif reads and any(
                            w.ended.get(reply[1], w.now) < began for began, ended in w.invalidations if ended < since
                        ):
                            w.wrong.append((w.now, int(reply[1]), "invalidated"))
                    answer[node][number] = reply[:2]

    return run


def _stamped(c: Client, of: int, holds_back: bool, command: Any) -> Any:
    verb, key, *more = command
    key = named(c, key, of)
    if verb != "ms":
        return (verb, key, *more)
    if holds_back:
        return ("md", key, None, *more[1:])
    version, *token = more
    keeps = isinstance(version, Stamped) and c.world.rule != "restamped"
    return ("ms", key, version if keeps else stamp(version, of), *token)


def _vacate(c: Client, of: int, node: str, command: Any, reply: Any) -> Script:
    """An older item is as good as none. Where a lease is wanted it is removed first, by its token."""
    if command[2:] != ("lease",):
        return ("Z", None, reply[2])
    key = named(c, command[1], of)
    replies = (yield {node: [("md", key, None, reply[2]), ("mg", key, "lease")]})[node]
    if replies is None:
        return ("EN", None, None)
    return replies[1] if replies[1][0] != "VA" else ("Z", None, None)


def invalidate(c: Client) -> Script:
    w, began, known = c.world, c.world.now, generation(c)
    yield {w.names[0]: [("mg", "nothing")]}  # The keepers are asked.
    if w.rule != "known-next" or w.generation[PREFIX] == known:
        yield ("bump", [PREFIX])
    else:
        c.look()
    w.invalidations.append((began, w.now))


def lock(c: Client) -> Script:
    """Take the lock, hold it, give it back; one copy."""
    w, (node,) = c.world, c.world.old
    of, key = generation(c), named(c, "lock", generation(c))
    if young(c):
        yield {node: [("mg", "nothing")]}
        return
    mine = stamp(int(w.random.random() * 2**40), of)
    (reply,) = (yield {node: [("add", key, mine)]})[node] or (None,)
    if reply is None:
        return
    if reply[0] == "NS":
        if not older(c, reply[1]):
            return
        if w.rule == "old-is-present":
            w.wrong.append((w.now, key, "refused for what was invalidated"))
            return
        (reply,) = (yield {node: [("replace", key, mine, None if w.rule == "no-token" else reply[2])]})[node] or (None,)
        if reply is None or reply[0] != "HD":
            return
        if reply[1]:
            w.wrong.append((w.now, key, "two holders"))
    token = reply[-1]
    yield {node: [("mg", "nothing")]}
    yield {node: [("md", key, None, token)]}


def count(c: Client) -> Script:
    """Count on one copy, by a look and a count that arrive together."""
    w, (node,) = c.world, c.world.old
    of, key, since = generation(c), named(c, "n", generation(c)), c.seen
    replies = (yield {node: [("mg", key), ("incr", key)]})[node]
    if replies is None:
        return
    look, counted = replies
    absent = look[0] != "VA" or older(c, look[1])
    if counted[0] == "VA" and (not absent or w.rule == "blind"):
        if counted[1].stamp < of:
            w.wrong.append((w.now, int(counted[1]), "a number of a counter that was invalidated"))
    elif not young(c) and since >= 0:
        start = stamp(0, of)
        if look[0] == "VA" and absent:
            yield {node: [("replace", key, start, look[2])]}
        else:
            yield {node: [("add", key, start)]}


def _slowly(script: Callable[[Client], Script]) -> Callable[[Client], Script]:
    """Mostly nothing: what a client does then is alone for a while."""

    def run(c: Client) -> Script:
        if c.world.random.random() < IDLE:
            yield {c.world.names[0]: [("mg", "nothing")]}
        else:
            yield from script(c)

    return run


_write, _move = below_prefix(protocol_model.write), below_prefix(protocol_model.move)
_read = below_prefix(protocol_model.read, reads=True)
_invalidate = _slowly(invalidate)
CASTS = {
    "busy": (_write, _write, _read, _read, _move, _invalidate, _invalidate),
    "slow": (_slowly(_write), _slowly(_write), _read, _read, _invalidate, _invalidate, _invalidate),
    "moving": (*(_slowly(_write),) * 2, _move, _move, *(_slowly(_read),) * 2, _invalidate, _invalidate),
    "one": (lock, lock, lock, count, count, _invalidate, _invalidate),
}


class _World(World):
    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.generation[PREFIX], self.lags = 0, True
        self.invalidations: list[tuple[int, int]] = []


def run(seed: int, rule: str, case: str = "move", cast: str = "busy", **faults: float) -> World:
    """One random schedule; the world's `wrong` lists what should not have been."""
    return protocol_model.run(seed, case, rule, cast=CASTS[cast], node=Node, world=_World, **faults)


def main(rule: str = "", number: str = "300") -> None:
    for name in [rule] if rule else RULES:
        for case, cast in (("single", "one"), ("stable2", "busy"), ("stable2", "slow"), ("move", "moving")):
            wrong = [seed for seed in range(int(number)) if run(seed, name, case, cast).wrong]
            print(f"{name:16} {case:8} {cast:7} {len(wrong)} of {number} wrong {wrong[:3]}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
