"""An executable model of the protocol (docs/explanation/protocol.md): one key, two writers, readers, a mover, simulated
nodes, and every command delivered one by one in random order.

The views of clients may be one phase and any generation behind. Items are evicted, nodes hang and execute commands long
after the client gave up (zombies), nodes restart empty.

A read is wrong when it returns a value whose write had ended before another write began that was acknowledged before
the reader last looked at the fleet state (with no fault in play: before the read began). A miss is always allowed.
These are the rules of that page, written to be read, not the product. Counters and additions: counters.py.
"""

import random

STABLE_O, PREPARE, COPY, FLIP, SETTLE, STABLE_N = range(6)
CASES = {  # replicas before, replicas after
    "stable2": (["A", "B"], ["A", "B"]),
    "move": (["A"], ["C"]),
    "grow": (["A"], ["A", "C"]),
    "shrink": (["A", "C"], ["C"]),
    "r2add": (["A", "B"], ["C", "A"]),
    "r2both": (["A", "B"], ["C", "D"]),
}
RULES = {  # each is one rule of the protocol, broken
    "ok": "the protocol as designed",
    "read-repair": "a reader copies a value from one replica to another, under a lease on the target",
    "unleased": "fills do not use their lease token",
    "new-first": "the new side is written before the old side",
    "parallel": "old and new side are written in one round",
    "flip-together": "in flip, the staying replicas are written together with the joining ones",
    "no-settle": "readers still fill joining nodes while others already write all replicas in one round",
    "bump-narrow": "during a migration a lost reply bumps the silent node only, not the joining nodes too",
    "no-bump": "a lost reply bumps nothing",
    "no-quarantine": "a new generation is written to at once, before every client has seen it",
    "token-travels": "a lease token is used on another connection than the one that issued it",
}


class Node:
    """Meta commands of one memcached node: mg (with or without lease), ms (with or without token), md."""

    def __init__(self, world):
        self.world, self.items, self.cas, self.incarnation = world, {}, 0, 0

    def execute(self, verb, key, arg=None, token=None):
        item = self.items.get(key)  # (version or None for a stub, cas, born)
        if verb == "mg":
            if item is None and arg == "lease":
                self._store(key, None)
                return ("W", self.cas)
            return ("EN", None) if item is None else ("Z", None) if item[0] is None else ("VA", item[0])
        if token is not None and (item is None or item[1] != token):
            return ("EX", None)
        if verb == "ms":
            self._store(key, arg)
        else:
            self.items.pop(key, None)
        return ("HD", None)

    def _store(self, key, version):
        self.cas += 1
        self.items[key] = (version, self.cas, self.world.now)


class World:
    looks = 0.5  # how often a client looks at the fleet state before an operation

    def __init__(self, seed, case, rule, hang, evict, restart, node):
        self.random, self.rule, self.hang, self.evict, self.restart = random.Random(seed), rule, hang, evict, restart
        self.old, self.new = CASES[case]
        self.joining = [n for n in self.new if n not in self.old]
        self.leaving = [n for n in self.old if n not in self.new]
        self.staying = [n for n in self.new if n in self.old]
        self.names = sorted({*self.old, *self.new})
        self.now, self.phase = 0, STABLE_O
        self.began, self.ended, self.acked = {}, {}, {}  # version -> time
        self.nodes = {n: node(self) for n in self.names}
        self.generation, self.bumped = dict.fromkeys(self.names, 0), {}  # (node, generation) -> time
        self.wrong, self.hits, self.reads, self.clients = [], 0, 0, []
        self.lags = bool(hang or restart)  # a read may be as old as the reader's last look at the fleet state

    def bump(self, names):
        for n in names:
            self.generation[n] += 1
            self.bumped[n, self.generation[n]] = self.now

    def outdated(self, version, time):
        """The value of `version` was overwritten, for certain, by a write acknowledged before `time`."""
        end = self.ended.get(version, self.now)
        return any(self.began[v] > end and t <= time for v, t in self.acked.items())


class Client:
    def __init__(self, world, script):
        self.world, self.script, self.flow, self.waiting, self.running, self.viewed = (
            world,
            script,
            None,
            None,
            None,
            -1,
        )
        self.look()

    def look(self):
        """Read the fleet state: phase and generations."""
        self.phase, self.generation, self.seen = self.world.phase, dict(self.world.generation), self.world.now

    def key(self, node):
        return f"k@{self.generation[node]}"

    def usable(self, node):
        """A bumped slot is left alone until no client can hold an older view (in life: a hold after learning of it)."""
        w = self.world
        bumped = w.bumped.get((node, self.generation[node]))  # None: this client knows of no bump
        if w.rule == "no-quarantine" or bumped is None:
            return True
        return all((c.viewed if c.waiting is not None else c.seen) > bumped for c in w.clients)


def rounds(c, delete, version):
    """The rounds of one write: sources strictly before targets."""
    w, rule = c.world, c.world.rule

    def write(n):
        return [("md", c.key(n))] if delete else [("ms", c.key(n), version)]

    def purge(n):
        return [("md", c.key(n))]

    if c.running in (PREPARE, COPY):
        plan = [{n: write(n) for n in w.old}, {n: purge(n) for n in w.joining}]
    elif c.running in (FLIP, SETTLE):
        first = {n: purge(n) for n in w.leaving}
        staying = {n: write(n) for n in w.staying}
        joining = {n: write(n) for n in w.joining}
        plan = [first, {**staying, **joining}] if rule == "flip-together" else [{**first, **staying}, joining]
    else:
        plan = [{n: write(n) for n in (w.old if c.running == STABLE_O else w.new)}]
    if rule == "new-first":
        plan.reverse()
    if rule == "parallel":
        plan = [{n: cmds for part in plan for n, cmds in part.items()}]
    return [part for part in plan if part]


def write(c):
    w = c.world
    version, delete = len(w.began) + 1, w.random.random() < 0.4
    w.began[version] = w.now
    stored = False
    for part in rounds(c, delete, version):
        part = {n: cmds for n, cmds in part.items() if c.usable(n)}  # an unusable slot is empty for all
        if not part:
            continue
        replies = yield part
        silent = [n for n in part if replies[n] is None]
        stored = stored or any(cmds[0][0] == "ms" for n, cmds in part.items() if n not in silent)
        if silent and w.rule != "no-bump":
            migrating = PREPARE <= c.running <= SETTLE and w.rule != "bump-narrow"
            yield ("bump", {*silent, *(w.joining if migrating else [])})
    w.ended[version] = w.now
    if delete or stored:
        w.acked[version] = w.now
        return version
    return None


def fill(c, target, sources):
    """Lease on the target first, then read a source, then store under the lease."""
    w, key = c.world, c.key(target)
    if not c.usable(target):
        return None
    incarnation = w.nodes[target].incarnation
    reply = (yield {target: [("mg", key, "lease")]})[target]
    if reply is None:
        return None
    kind, token = reply[0]
    if kind == "VA":
        return token
    found = None
    for n in filter(c.usable, sources):
        reply = (yield {n: [("mg", c.key(n))]})[n]
        if reply and reply[0][0] == "VA":
            found = reply[0][1]
            break
    if kind == "W":
        if w.nodes[target].incarnation != incarnation and w.rule != "token-travels":
            return found
        done = (
            ("md", key, None, token) if found is None else ("ms", key, found, None if w.rule == "unleased" else token)
        )
        if (yield {target: [done]})[target] is None and w.rule != "no-bump":
            yield ("bump", [target])
    return found


def read(c):
    w = c.world
    since = c.seen if w.lags else w.now
    order = w.old if c.running <= PREPARE else w.new
    if w.random.random() < 0.5:
        order = order[::-1]
    filling = (COPY, FLIP, SETTLE, STABLE_N) if w.rule == "no-settle" else (COPY, FLIP)
    value = None
    for n in order:
        if c.running in filling and n in w.joining:
            value = yield from fill(c, n, w.old)
        elif w.rule == "read-repair" and len(order) > 1:
            value = yield from fill(c, n, [m for m in order if m != n])
        elif c.usable(n):
            reply = (yield {n: [("mg", c.key(n))]})[n]
            value = reply[0][1] if reply and reply[0][0] == "VA" else None
        if value is not None:
            break
    w.reads += 1
    w.hits += value is not None
    if value is not None and w.outdated(value, since):
        w.wrong.append((w.now, value, c.running))
    return value


def move(c):
    yield {c.world.names[0]: [("mg", "nothing")]}
    if c.running in (COPY, FLIP):
        for n in c.world.joining:
            yield from fill(c, n, c.world.old)


def run(seed, case, rule, steps=600, hang=0.0, evict=0.03, restart=0.0, cast=(), node=Node, world=World):
    """One random schedule; returns the world, whose `wrong` lists what a reader should not have seen.

    `cast`: the scripts of the clients; default: two writers, three readers and a mover.
    """
    w = world(seed, case, rule, hang, evict, restart, node)
    clients = w.clients = [Client(w, script) for script in cast or (write, write, read, read, read, move)]
    net = []  # messages: [node, commands, next, replies, incarnation, outcome]; outcome: None, (replies,) or (None,)
    for w.now in range(1, steps):
        ready = [c for c in clients if c.waiting is None or all(m[5] for m in c.waiting)]
        if case != "stable2" and w.phase < STABLE_N and w.random.random() < 0.02:
            if all(c.phase == w.phase and c.running in (None, w.phase) for c in clients):
                w.phase += 1  # the barrier: all have looked, and no operation of an older phase is left
            continue
        for n in w.nodes.values():
            old = [k for k, item in n.items.items() if w.now - item[2] > 80]
            if old and w.random.random() < w.evict:
                n.items.pop(w.random.choice(old))
            if w.random.random() < w.restart:
                n.items.clear()
                n.cas, n.incarnation = 0, n.incarnation + 1
        choice = w.random.randrange(len(ready) + len(net)) if ready or net else None
        if choice is None:
            continue
        if choice < len(ready):
            advance(ready[choice], net)
        else:
            deliver(w, net, net[choice - len(ready)])
    return w


def advance(c, net):
    w = c.world
    if c.waiting is None:
        if w.random.random() < w.looks:
            c.look()
        c.running, c.viewed, c.flow, send = c.phase, c.seen, c.script(c), None
    else:
        send = {m[0]: m[5][0] for m in c.waiting}
    try:
        step = c.flow.send(send)
        while isinstance(step, tuple):  # ("bump", nodes): at the keepers, at once
            w.bump(step[1])
            c.look()
            step = c.flow.send(None)
        c.waiting = [[n, cmds, 0, [], w.nodes[n].incarnation, None] for n, cmds in step.items()]
        net.extend(c.waiting)
    except StopIteration:
        c.waiting, c.running = None, None


def deliver(w, net, m):
    node = w.nodes[m[0]]
    if m[4] != node.incarnation:  # the connection died with the node
        net.remove(m)
        m[5] = m[5] or (None,)
    elif m[5] is None and w.random.random() < w.hang:
        m[5] = (None,)  # the client gives up; the command stays in flight
    elif m[5] is None or w.random.random() < 0.1:  # zombies are slow
        m[3].append(node.execute(*m[1][m[2]]))
        m[2] += 1
        if m[2] == len(m[1]):
            net.remove(m)
            m[5] = m[5] or (m[3],)
