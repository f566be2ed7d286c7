"""One random schedule from a seed: who takes part, what happens, and what was wrong."""

import random
from collections.abc import Callable

from django_dcache.flows import Item
from django_dcache.flows.healing import Rules
from django_dcache.flows.write import write

from .broken import RULES, Rule
from .cases import CASES, FAULTS, Faults
from .history import Counter, History, Lock, Register
from .process import FRESHNESS, HOLD, Process, Script
from .resizing import BESIDE_HEALING, conductor, mover
from .roles import (
    Scene,
    adder,
    clearer,
    counting,
    forking,
    loader,
    locker,
    look,
    passing,
    reader,
    starting,
    swapper,
    toucher,
    waiting,
    writer,
)
from .world import World

HEALING = Rules(seconds=0.8, part=0.5, quiet=0.6, lazily=0.5)
AFTERWARDS = 3.0
"""Seconds of calm at the end."""


def simulate(
    seed: int,
    case_name: str,
    faults_name: str,
    rule: Rule = RULES["ok"],
    tell: Callable[[str], None] | None = None,
    swaps: bool = False,
    clears: bool = False,
    forks: bool = False,
) -> Scene:
    """Its `history.wrong` lists what should not have been. `swaps`: with processes that swap a value of their own;
    `clears`: that clear the fleet; `forks`: that fork."""
    chance, case, faults = random.Random(seed), CASES[case_name], FAULTS[faults_name]
    before, after = case.layouts()
    names = {node.name for node in before.nodes + after.nodes}
    world = World(chance, faults, (before, after), tell)
    world.tokens_travel, world.forks_unseen = rule.tokens_travel, rule.forks_unseen
    world.maps_alike = rule.maps_alike
    value, still, number, lock = chance.sample(case.names(12), 4)
    neighbours = chance.choice((0.0, 0.0, 0.3, 1.0)) if clears else 0.0
    # A node that leaves its address alive is read there by processes that have not learned of it yet, and so is one
    # that is bumped as a whole, or whose copies differed while it was emptied.
    lags = case.address or (clears and (neighbours or case.path or max(case.replicas) > 1))
    at_once = faults.none and not lags
    history = History(0.0 if at_once else FRESHNESS)
    lossless = faults.none and not faults.evict and not case.forgetful and not clears
    # Emptying takes both copies of a counter at once: what is counted meanwhile may be counted twice (docs/adr/0031).
    unsure = len(names) == 2 and bool(faults.hang or faults.away) or clears and max(case.replicas) > 1
    counter = Counter(history, lossless, unsure)
    locks = Lock(history, lossless)
    swapped = next(name for name in case.names(12) if name not in (value, still, number, lock))
    register = Register(swapped, History(history.bound, wrong=history.wrong))
    scene = Scene(world, rule.flows, value, still, number, lock, history, counter, locks, register, lossless)
    rules = HEALING if faults.gone or faults.cut else Rules()
    born = case.topology(), world.clock, rule.view_class, rule.never_again, rules, rule.heal, rule.confirmed
    processes = [Process(f"p{i}", *born) for i in range(1, 6)]
    cast = [writer, writer, reader, reader, chance.choice((loader, loader, adder)), counting, counting]
    cast += chance.sample((locker, passing, toucher, mover, reader, loader if loader in cast else adder), 3)
    cast += [swapper] * 3 * swaps + [clearer] * 2 * clears + [forking] * 2 * forks
    path = tuple(phase for phase in case.path if phase not in rule.skip)
    scene.pace = chance.choice((1.0, 1.0, 5.0, 25.0))
    lasts = 20.0 if faults.gone else 3.0
    if path:
        lasts = (BESIDE_HEALING if faults.gone else 1.0) + len(path) * (HOLD + 0.1)
    scene.stop = lasts + chance.random()
    first = processes[0]
    scene.neighbours = neighbours
    if clears and chance.random() < 0.5:
        for node in world.nodes.values():
            node.keeps_documents = True
    world.victim = first.view.place(value).route.write[0]

    def opening() -> Script:
        yield from first.prove()
        yield from first.run(write, {still: Item(0, b"0"), number: Item(2, b"0")})
        for index, role in enumerate(cast):
            process = processes[index % len(processes)]
            world.spawn(f"{process.name} {role.__name__}", process, role(scene, process), after=chance.random() * 0.1)
        if path:
            leader = Process("leader", case.topology(), world.clock, rule.view_class)
            world.spawn("leader", leader, conductor(scene, leader, path, after, rule.hold))
        world.at(world.now, world.trouble)

    def closing() -> None:
        world.faults = Faults()
        world.severed.clear()
        for node in world.nodes.values():
            node.away_until = 0.0
        calm = AFTERWARDS + max(0.0, world.all_awake - world.now)
        for process in processes:
            world.spawn(f"{process.name} waits", process, waiting(scene, process, calm - 1))
            world.spawn(f"{process.name} last look", process, look(scene, process), after=calm - 1)
        late = first.newcomer("late")
        world.spawn("late", late, starting(scene, late), after=calm - 0.7)

    world.spawn("opening", first, opening())
    world.run(scene.stop)
    world.at(scene.stop, closing)
    world.run(max(scene.stop, world.all_awake) + AFTERWARDS)
    if (
        faults == FAULTS["late"]
        and not path
        and any(process.view.state.highest(node) for process in processes for node in world.nodes)
    ):
        history.complain(world.now, "slots were given up although processes only stood still")
    if faults == FAULTS["cut"] and not path and (out := world.ever_out(processes)):
        history.complain(world.now, f"{out} was taken out, which only one process could not reach")
    return scene
