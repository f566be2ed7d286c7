"""The rules for counters and additions (docs/adr/0023) as a model, on the nodes and clients of protocol.py.

Clients count on one counter with two and three replicas in a stable topology, or take and give back a lock, while nodes
hang, execute commands late, lose items and restart. A number is wrong when it was handed out before, or is below one
that was handed out before the count began. A lock is wrong when two clients have it, and of the first one a copy is
left that was not bumped.

    python -m support.models.counters RULE N
"""

import sys
from collections.abc import Generator
from typing import Any

from support.models import protocol as protocol_model
from support.models.protocol import CASES, Client, World

CASES["stable3"] = (["A", "B", "C"], ["A", "B", "C"])
RULES = {
    "ok": "the rules as they are",
    "side-by-side": "each copy counts, and the first one that answers gives the number",
    "no-token": "the other copies are brought to the number whatever they hold by now",
    "behind-counts": "a first copy that is behind another one is counted on",
    "unasked": "a number that one copy alone agreed to is handed out without asking the keepers",
    "unheard": "a copy whose slot was bumped a moment ago counts as one that agreed",
    "no-consent": "an addition writes to the other copies whatever they hold",
}
Script = Generator[Any, Any, None]


class Node(protocol_model.Node):
    """With the commands that counters and additions need; each answers (word, value, token)."""

    def __init__(self, world: World):
        super().__init__(world)
        self.items["n@0"] = (0, 0, 0)

    def execute(self, verb: str, key: str, arg: Any = None, token: Any = None) -> Any:
        item = self.items.get(key)
        if verb not in ("gets", "incr", "add", "put", "drop"):
            return super().execute(verb, key, arg, token)
        if verb == "add" and item is not None:
            return ("NS", item[0], item[1])
        if verb != "add" and verb != "put" and item is None:
            return ("NF", None, None)
        if token is not None and (item is None or item[1] != token):
            return ("EX", None, None)
        if verb == "gets":
            return ("VA", item[0], item[1])
        if verb == "drop":
            del self.items[key]
            return ("HD", None, None)
        self._store(key, item[0] + arg if verb == "incr" else arg)
        return ("HD", self.items[key][0], self.items[key][1])


def ask(node: str, *command: Any) -> Script:
    """One command to one node; None if it did not answer."""
    reply = (yield {node: [command]})[node]
    return reply and reply[0]


def key(c: Client, node: str) -> str:
    return f"n@{c.generation[node]}"


def count(c: Client) -> Script:
    w, began = c.world, c.world.now
    usable = [n for n in w.old if c.usable(n)]
    keys = {n: key(c, n) for n in usable}
    generations = dict(c.generation)
    number, agreed, alone = yield from agree(w, usable, keys)
    alone |= len(usable) < len(w.old) and w.rule != "unheard"
    if number is None:
        return
    moved = any(w.generation[n] != generations[n] for n in agreed)
    if alone and moved and w.rule != "unasked":
        return
    if number in w.began:
        w.wrong.append((w.now, number, "twice"))
    if any(number < n and ended < began for n, ended in w.ended.items()):
        w.wrong.append((w.now, number, "backwards"))
    w.began[number], w.ended[number] = began, w.now


def agree(w: World, usable: list[str], keys: dict[str, str]) -> Script:
    """The number, the copies that agreed to it, and whether a copy took no part."""
    alone = False
    for _ in range(3):
        if not usable:
            break
        leader = None
        for n in usable:
            reply = yield from ask(n, "incr", keys[n], 1)
            if reply is None:
                yield ("bump", [n])
                return None, [], True
            if reply[0] == "HD":
                leader, number = n, reply[1]
                break
            alone = True
        if leader is None:
            break
        if w.rule == "side-by-side":
            for n in usable:
                if n != leader and (yield from ask(n, "incr", keys[n], 1)) is None:
                    yield ("bump", [n])
            return number, [leader], False
        agreed, again = [leader], False
        for n in usable:
            if n == leader:
                continue
            outcome = yield from bring(w, n, keys[n], number)
            if outcome == "silent":
                yield ("bump", [n])
                alone = True
            elif outcome == "absent":
                alone = True
            elif outcome == "ahead" and w.rule != "behind-counts":
                if (yield from ask(leader, "drop", keys[leader])) is None:
                    yield ("bump", [leader])
                    return None, [], True
                again = True
                break
            else:
                agreed.append(n)
        if not again:
            return number, agreed, alone
    return None, [], alone


def bring(w: World, node: str, name: str, number: int) -> Script:
    """One other copy, from the number before to this one."""
    for _ in range(6):
        reply = yield from ask(node, "gets", name)
        if reply is None:
            return "silent"
        if reply[0] == "NF":
            return "absent"
        _, there, token = reply
        if there >= number:
            return "ahead"
        if w.rule == "no-token":
            token = None
        if there < number - 1:
            reply = yield from ask(node, "drop", name, None, token)
            if reply is None:
                return "silent"
            if reply[0] == "EX":
                continue
            return "absent"
        reply = yield from ask(node, "incr", name, number - there, token)
        if reply is None:
            return "silent"
        if reply[0] == "HD":
            return "agreed"
    return "silent"


def lock(c: Client) -> Script:
    """Take the lock, hold it for a while, give it back."""
    w, me = c.world, c.world.random.random()
    usable = [n for n in w.old if c.usable(n)]
    keys = {n: key(c, n).replace("n", "lock") for n in usable}
    taken = []
    for n in usable:
        reply = yield from ask(n, "put" if w.rule == "no-consent" and taken else "add", keys[n], me)
        if reply is None:
            yield ("bump", [n])
        elif reply[0] == "NS":
            break
        else:
            taken.append((n, reply[2]))
    else:
        held = [n for n, _ in taken]
        if not held:
            return
        lost = len(held) < (len(usable) if w.rule == "unheard" else len(w.old))
        if lost and any(keys[n] != f"lock@{w.generation[n]}" for n in held):
            return
        for other, copies in w.acked.items():
            if any(
                w.nodes[n].items.get(name, (None,))[0] == other and name == f"lock@{w.generation[n]}"
                for n, name in copies
            ):
                w.wrong.append((w.now, me, "two holders"))
        w.acked[me] = [(n, keys[n]) for n in held]
        yield {held[0]: [("gets", "nothing")]}
        del w.acked[me]
    for n, token in taken:
        if (yield from ask(n, "drop", keys[n], None, token)) is None:
            yield ("bump", [n])


def run(seed: int, rule: str, case: str = "stable2", script: Any = count, **faults: float) -> World:
    """One random schedule of four clients; the world's `wrong` lists what was handed out wrongly."""
    return protocol_model.run(seed, case, rule, cast=(script,) * 4, node=Node, **faults)


FAULTS = {
    "hang": {"hang": 0.03, "evict": 0.0},
    "hang+evict": {"hang": 0.03, "evict": 0.2},
    "hang+restart": {"hang": 0.03, "restart": 0.004},
}


def main(rule: str = "", number: str = "300") -> None:
    for name in [rule] if rule else RULES:
        for label, faults in FAULTS.items():
            for script in (count, lock):
                wrong = [seed for seed in range(int(number)) if run(seed, name, script=script, **faults).wrong]
                print(
                    f"{name:14} {script.__name__:6} {label:13} {len(wrong)} of {number} wrong {wrong[:3]}", flush=True
                )


if __name__ == "__main__":
    main(*sys.argv[1:])
