"""What a process does in a play: one operation, after a command without meaning, so that beginning takes turns too."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django_dcache.commands import Get
from django_dcache.errors import NoReplica
from django_dcache.flows import Item
from django_dcache.flows import resize as move

from .process import FOR_EVER, Process, Round, Script

if TYPE_CHECKING:
    from .orders import Stage


def _begin(stage: "Stage") -> Script:
    yield Round({sorted(stage.world.nodes)[0]: [Get(b"nothing")]}, FOR_EVER)


def fetched(stage: "Stage", process: Process, found: list[Any]) -> Script:
    found.append((yield from process.run(stage.play.flows.fetch, [stage.name])))


def _write(delete: bool) -> Callable[[Any, Process], Script]:
    def role(stage: "Stage", process: Process) -> Script:
        yield from _begin(stage)
        version = stage.history.begin(stage.tick())
        item = None if delete else Item(0, b"%d" % version)
        outcome = (yield from process.run(stage.play.flows.write, {stage.name: item}))[stage.name]
        stage.history.end(version, stage.tick(), outcome.acknowledged)

    return role


def _read(stage: "Stage", process: Process) -> Script:
    yield from _begin(stage)
    yield from process.run(stage.play.flows.fetch, [stage.name])


def _load(stage: "Stage", process: Process) -> Script:
    yield from _begin(stage)

    def load() -> Script:
        version = len(stage.history.writes)
        yield from _begin(stage)
        return Item(0, b"%d" % version)

    try:
        yield from process.run(stage.play.flows.fetch_or_load, stage.name, load)
    except NoReplica:
        pass  # Nothing was loaded under a lease.


def _add(stage: "Stage", process: Process) -> Script:
    yield from _begin(stage)
    version = stage.history.begin(stage.tick())
    added = yield from process.run(stage.play.flows.add, stage.name, Item(0, b"%d" % version))
    stage.history.end(version, stage.tick(), added)
    if added:
        stage.added.append(process.name)


def _touch(stage: "Stage", process: Process) -> Script:
    yield from _begin(stage)
    yield from process.run(stage.play.flows.touch, stage.name, 3600)


def _incr(stage: "Stage", process: Process) -> Script:
    yield from _begin(stage)
    yield from process.prove()
    try:
        number = yield from process.drive(stage.play.flows.count(process.view, stage.name, 1))
    except NoReplica:
        return
    if number is None:
        stage.missed.append(process.name)
    else:
        stage.numbers.append(number)


def _swap(delete: bool) -> Callable[[Any, Process], Script]:
    """The value that is there at first for another one, or for nothing."""

    def role(stage: "Stage", process: Process) -> Script:
        yield from _begin(stage)
        version = stage.history.begin(stage.tick())
        item = None if delete else Item(0, b"%d" % version)
        swapped = yield from process.run(stage.play.flows.swap, stage.name, lambda there: there.data == b"1", item)
        stage.history.end(version, stage.tick(), bool(swapped))
        if swapped:
            stage.swapped.append(process.name)
        else:
            stage.unswapped.add(version)

    return role


def _move(stage: "Stage", process: Process) -> Script:
    yield from _begin(stage)
    place = process.view.place(stage.name)
    key = move.Key(stage.name, place.slot, place.route)
    if place.route.fill:
        yield from process.run(stage.play.flows.carry, process.view.epoch, [key])


PARTS: dict[str, Callable[[Any, Process], Script]] = {
    "set": _write(False),
    "delete": _write(True),
    "read": _read,
    "load": _load,
    "add": _add,
    "touch": _touch,
    "incr": _incr,
    "move": _move,
    "swap": _swap(False),
    "swap for nothing": _swap(True),
}
