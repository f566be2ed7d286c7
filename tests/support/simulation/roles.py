"""What processes do all day. Each role is an endless script of one thread; the scene tells it when to stop."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from django_dcache.commands import Value
from django_dcache.flows import Flow, Item
from django_dcache.flows import resize as move
from django_dcache.flows.add import add
from django_dcache.flows.clear import clear
from django_dcache.flows.consensus import prove
from django_dcache.flows.count import count
from django_dcache.flows.load import fetch_or_load
from django_dcache.flows.read import fetch
from django_dcache.flows.swap import swap
from django_dcache.flows.write import touch, write
from django_dcache.values.plain import INTEGER

from .history import Counter, History, Lock, Register
from .process import Fork, Process, Script, Sleep
from .world import World

Operation = Callable[..., Flow[Any]]


class Flows(NamedTuple):
    """The real ones; a broken rule replaces some of them."""

    write: Operation = write
    add: Operation = add
    touch: Operation = touch
    count: Operation = count
    fetch: Operation = fetch
    fetch_or_load: Operation = fetch_or_load
    carry: Operation = move.carry
    prove: Operation = prove
    swap: Operation = swap
    clear: Operation = clear


@dataclass
class Scene:
    """What the roles share."""

    world: World
    flows: Flows
    value: bytes
    """The key that is written, read, loaded, added and touched all the time."""
    still: bytes
    """One that is written once, before everything else."""
    number: bytes
    lock: bytes
    history: History
    counter: Counter
    locks: Lock
    register: Register
    lossless: bool
    """Nothing is evicted and nothing fails: a key that is there is found."""
    stop: float = 0.0
    pace: float = 1.0
    """How long writers think: while they are quiet, what should be gone may come back."""
    neighbours: float = 0.0
    """How likely each node is to hold what others keep, for those who clear."""
    cleared: float = float("inf")
    """When the fleet was cleared for the first time."""
    database: int = 0
    """The version that a loader finds where cached values come from."""

    @property
    def now(self) -> float:
        return self.world.now

    @property
    def running(self) -> bool:
        return self.now < self.stop

    def think(self, longest: float = 0.08) -> Sleep:
        """Mostly no time at all, sometimes so long that the view has to be proven first."""
        chance = self.world.chance
        return Sleep(chance.random() * 0.8 if chance.random() < 0.05 else chance.random() ** 3 * longest)


def prepared(process: Process) -> Script:
    """Whether the next operation is under a proof, and so under the promise. Without a majority of keepers a process
    goes on by what it knew last (`on_unproven`), and what it reads and writes then is not checked."""
    yield from process.prove()
    return process.proven


def writer(scene: Scene, process: Process) -> Script:
    while scene.running:
        yield scene.think(0.08 * scene.pace)
        version = scene.database = scene.history.begin(scene.now, process.name)
        item = None if scene.world.chance.random() < 0.4 else Item(0, b"%d" % version)
        promised = yield from prepared(process)
        outcomes = yield from process.run(scene.flows.write, {scene.value: item})
        scene.history.end(version, scene.now, promised and outcomes[scene.value].acknowledged)


def reader(scene: Scene, process: Process) -> Script:
    while scene.running:
        yield scene.think(0.04)
        yield from look(scene, process)


def look(scene: Scene, process: Process) -> Script:
    """Read everything once, and check it."""
    began = scene.now
    promised = yield from prepared(process)
    found = yield from process.run(scene.flows.fetch, [scene.value, scene.still, scene.number])
    if promised:
        version = found.get(scene.value)
        scene.history.read(version and int(version.data), began, scene.now, process.name)
        if scene.number in found:
            scene.counter.read(int(found[scene.number].data), began, scene.now, process.name)
    if scene.lossless and scene.still not in found:
        scene.history.complain(scene.now, f"{process.name} missed a key that nobody ever removed")
    if promised and scene.still in found and scene.cleared <= began - scene.history.bound:
        scene.history.complain(scene.now, f"{process.name} read what was cleared at {scene.cleared:.4f}")


def passing(scene: Scene, process: Process) -> Script:
    """Processes that start like this one, live for a moment and end: they learn of everything late and at once."""
    number = 0
    while scene.running:
        yield scene.think(0.4)
        number += 1
        successor = process.newcomer(f"{process.name}.{number}")
        version = scene.database = scene.history.begin(scene.now, successor.name)
        promised = yield from prepared(successor)
        outcomes = yield from successor.run(scene.flows.write, {scene.value: Item(0, b"%d" % version)})
        scene.history.end(version, scene.now, promised and outcomes[scene.value].acknowledged)
        yield from look(scene, successor)


def forking(scene: Scene, process: Process) -> Script:
    """Processes that this one forks: parent and child both go on, by what was learned before."""
    number = 0
    while scene.running:
        yield from look(scene, process)
        number += 1
        child = process.forked(f"{process.name}-{number}")
        yield Fork(child, _child(scene, child))
        for _ in range(4):
            yield from look(scene, process)
            yield scene.think(0.01)


def _child(scene: Scene, child: Process) -> Script:
    for _ in range(4):
        yield from look(scene, child)
        yield scene.think(0.01)


def waiting(scene: Scene, process: Process, seconds: float) -> Script:
    """Only look at the keepers, for so long."""
    until = scene.now + seconds
    while scene.now < until:
        yield from process.prove()
        yield Sleep(0.1)


def starting(scene: Scene, process: Process) -> Script:
    """A process that starts long after all trouble finds a fleet that works: what it sets is there."""
    if not (yield from prepared(process)):
        return
    version = scene.history.begin(scene.now, process.name)
    outcomes = yield from process.run(scene.flows.write, {scene.value: Item(0, b"%d" % version)})
    if not outcomes[scene.value].successful:
        scene.history.complain(scene.now, f"{process.name} started after a time without faults, and could not set")


def loader(scene: Scene, process: Process) -> Script:
    chance = scene.world.chance

    def load() -> Script:
        version = scene.database
        yield Sleep(chance.random() ** 3)
        return Item(0, b"%d" % version) if version else None

    while scene.running:
        yield scene.think()
        began = scene.now
        promised = yield from prepared(process)
        found = yield from process.run(scene.flows.fetch_or_load, scene.value, load)
        if found is not None and promised:
            scene.history.read(int(found.data), began, scene.now, f"{process.name} (get_or_set)")


def toucher(scene: Scene, process: Process) -> Script:
    while scene.running:
        yield scene.think(0.2)
        name = scene.world.chance.choice((scene.value, scene.still, scene.number))
        touched = yield from process.run(scene.flows.touch, name, 3600)
        if scene.lossless and name == scene.still and not touched:
            scene.history.complain(scene.now, f"{process.name} could not touch a key that nobody ever removed")


def adder(scene: Scene, process: Process) -> Script:
    while scene.running:
        yield scene.think(0.2 * scene.pace)
        version = scene.history.begin(scene.now, process.name)
        promised = yield from prepared(process)
        added = yield from process.run(scene.flows.add, scene.value, Item(0, b"%d" % version))
        scene.history.end(version, scene.now, promised and added)


def locker(scene: Scene, process: Process) -> Script:
    while scene.running:
        yield scene.think(0.2)
        began = scene.now
        if (yield from process.run(scene.flows.add, scene.lock, Item(0, process.name.encode()))):
            scene.locks.taken(process.name, began, scene.now)
            yield scene.think(0.2)
            scene.locks.dropping(process.name, scene.now)
            yield from process.run(scene.flows.write, {scene.lock: None})


def counting(scene: Scene, process: Process) -> Script:
    while scene.running:
        yield scene.think()
        scene.counter.begin()
        began = scene.now
        if not (yield from prepared(process)):
            continue  # By a map that may be old no number is handed out.
        number = yield from process.run(scene.flows.count, scene.number, 1)
        if number is not None:
            scene.counter.end(number, began, scene.now, process.name)
            continue
        # It is lost. A new one begins far above whatever the old one can have reached.
        start = scene.counter.new_start()
        if (yield from process.run(scene.flows.add, scene.number, Item(INTEGER, b"%d" % start))):
            scene.counter.started(start, scene.now)


def swapper(scene: Scene, process: Process) -> Script:
    """Reads a value, and has another one take its place if it is still there."""
    register = scene.register
    while scene.running:
        yield scene.think()
        began = scene.now
        promised = yield from prepared(process)
        there = (yield from process.run(scene.flows.fetch, [register.name])).get(register.name)
        version = register.history.begin(scene.now, process.name)
        item = Item(0, b"%d" % version)
        if there is None:
            done = yield from process.run(scene.flows.add, register.name, item)
        else:
            if promised:
                register.history.read(int(there.data), began, scene.now, process.name)
            done = yield from process.run(scene.flows.swap, register.name, _same(there), item)
            if done and promised:
                register.swapped(int(there.data), scene.now, process.name)
        register.history.end(version, scene.now, promised and done)


def clearer(scene: Scene, process: Process) -> Script:
    """Empties the fleet, whose nodes may have neighbours: what was stored before is as good as deleted."""
    chance, nodes = scene.world.chance, sorted(scene.world.nodes)
    shared = {name for name in nodes if chance.random() < scene.neighbours}

    def census() -> Script:
        yield scene.think(0.02)
        known = scene.world.nodes.items()
        return shared, {name for name, node in known if not scene.world.reaches(process, node)}

    yield Sleep(chance.random() * scene.stop / 2)
    while scene.running:
        yield scene.think(0.4)
        version = scene.database = scene.history.begin(scene.now, process.name)
        promised = yield from prepared(process)
        cleared = yield from process.run(scene.flows.clear, census)
        scene.history.end(version, scene.now, promised and cleared)
        if promised and cleared:
            scene.cleared = min(scene.cleared, scene.now)


def _same(there: Value) -> Callable[[Value], bool]:
    return lambda found: found.data == there.data
