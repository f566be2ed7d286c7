"""Set, delete and touch: which nodes, in which order, and what it takes to be acknowledged.

The rules: docs/explanation/protocol.md#writes and #the-four-phase-move.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from ..commands import Answer, Command, Remove, Reply, Store, Touch
from ..errors import NodeDown, NodeFailure, NoReplica
from ..model.state import Slot
from ..model.view import Place, Standing, View
from . import Flow, Item, Pause, lost
from .consensus import bump
from .fill import fill
from .later_epoch import later

PAUSE_SECONDS = 3.0
"""A node that has been silent for less may only be pausing; one that is silent for longer is taken out."""
LOOKS, LOOK_WAIT = 8, 0.025
FILLS = 20
FILL_WAIT = 0.002


class Outcome:
    """What became of one key of a write, gathered over its rounds."""

    __slots__ = ("stored", "existed", "refused", "lost", "broken")

    def __init__(self, stored: bool = False) -> None:
        self.stored = stored
        """At least one replica holds the new value."""
        self.existed = False
        """At least one replica had something to delete."""
        self.refused = False
        """A node said no; the old value has been removed."""
        self.lost = False
        """The reply of a replica never came; what it holds can't be read any more, unless `broken`."""
        self.broken = False
        """An old copy may still be reachable: the write must not be acknowledged."""

    @property
    def acknowledged(self) -> bool:
        """For a delete: no process will read what was there before."""
        return not self.broken

    @property
    def successful(self) -> bool:
        """For a set."""
        return self.stored and not self.refused and not self.broken

    def failed(self, stores: bool) -> bool:
        """Whether too few nodes answered: an old value may be read, or, if it `stores`, no replica took the new one."""
        return self.broken or (stores and self.lost and not self.stored and not self.refused)


def write(view: View, changes: Mapping[bytes, Item | None]) -> Flow[dict[bytes, Outcome]]:
    """Store each name's item, or delete it where the item is None. One round; two while its copies are moving."""
    places = view.places(changes)
    outcomes = {name: Outcome() for name in changes}
    if not view.trusted:  # By a map that may be old: best effort, and no word is given.
        for outcome in outcomes.values():
            outcome.broken = True
    for second in (False, True):
        batches = Batches(view)
        for name, item in changes.items():
            place = places[name]
            part = place.route.second if second else place.route.first
            for node in part.write:
                batches.add(name, node, place, item)
            for node in part.purge:
                batches.add(name, node, place, None, purge=True)
        yield from batches.carry(outcomes)
    refused = {name: None for name, outcome in outcomes.items() if outcome.refused}
    if refused:
        # Django's contract: a value that could not be stored must not leave the one before it behind.
        for name, removed in (yield from write(view, refused)).items():
            outcomes[name].broken |= removed.broken
    return outcomes


class Batches:
    """One round of a write in the making."""

    def __init__(self, view: View):
        self._view = view
        self._commands: dict[str, list[Command]] = defaultdict(list)
        self._names: dict[str, list[tuple[bytes, Place, bool]]] = defaultdict(list)
        self._owed: set[bytes] = set()

    def add(self, name: bytes, node: str, place: Place, item: Item | None, purge: bool = False) -> None:
        standing = self._view.standing(node, place.slot)
        if standing is Standing.EMPTY:
            return
        if standing is Standing.OWED:
            self._owed.add(name)
            return
        generation = self._view.generation(node, place.slot)
        command: Command
        if item is None or standing is Standing.CLOSED:
            command = Remove(name, generation)
        else:
            command = Store(name, generation, item.data, item.flags, item.ttl)
        self._commands[node].append(command)
        self._names[node].append((name, place, purge))

    def carry(self, outcomes: dict[bytes, Outcome]) -> Flow[None]:
        for name in self._owed:
            outcomes[name].broken = True
        if not self._commands:
            return
        replies = yield from self._ask()
        suspect: dict[bytes, set[Slot]] = defaultdict(set)
        unsent: dict[bytes, set[Slot]] = defaultdict(set)
        answered: set[bytes] = set()
        for node, commands in self._commands.items():
            for target, command, reply in zip(self._names[node], commands, replies[node], strict=True):
                name, place, purge = target
                outcome = outcomes[name]
                if lost(command, reply, purge):
                    outcome.lost = True
                    suspect[name] |= place.suspect((node,))
                    if isinstance(reply, NodeFailure) and not reply.sent:
                        unsent[name].add((node, place.slot))
                    continue
                answered.add(name)
                if reply is Answer.DONE:
                    if type(command) is Store:
                        outcome.stored = True
                    else:
                        outcome.existed = True
                elif type(command) is Store:
                    outcome.refused = True
        unchanged: set[Slot] = set()
        for name in unsent.keys() - answered:
            # It may be this process that is cut off: of nodes that serve the others only a few slots are given up.
            suspect[name] -= unsent[name]
            if self._view.allowance.take(unsent[name], self._view.clock()):
                unchanged |= unsent[name]
            else:
                outcomes[name].broken = True
        doubtful = set().union(*suspect.values())
        if (doubtful or unchanged) and not (yield from bump(self._view, doubtful, unchanged)):
            for name in suspect:
                outcomes[name].broken = True

    def _ask(self) -> Flow[dict[str, Sequence[Reply | NodeFailure]]]:
        """The replies. A node that may only be pausing gets what was not sent to it a little later, where other copies
        took the write: else each write, as fast as they come, would give up a slot of that node (docs/adr/0019)."""
        replies = dict((yield self._commands))
        for _ in range(LOOKS):
            pausing = {node: self._commands[node] for node, said in replies.items() if _pauses(said)}
            if not 0 < len(pausing) < len(replies):
                break
            yield Pause(LOOK_WAIT)
            replies |= yield pausing
        return replies


def _pauses(said: Sequence[Reply | NodeFailure]) -> bool:
    return isinstance(said[0], NodeDown) and said[0].silent_seconds < PAUSE_SECONDS


def touch(view: View, name: bytes, ttl: float | None) -> Flow[bool]:
    """Give every copy a new TTL. True if there was one. Raises NoReplica if none of them answered."""
    touched = yield from _touch_by(view, name, ttl)
    # As a count does (count.py): in copy what a process in flip has moved is not at its source any more.
    while not touched and view.place(name).route.fill and (newest := (yield from later(view))):
        view = newest
        touched = yield from _touch_by(view, name, ttl)
    return touched


def _touch_by(view: View, name: bytes, ttl: float | None) -> Flow[bool]:
    place = view.place(name)
    route, slot = place
    if route.fill and not (yield from _bring(view, name, place)):
        return False
    said: list[Reply | NodeFailure] = []
    for part in (route.first, route.second):
        commands: dict[str, list[Command]] = {}
        for node in part.write + part.purge:
            if view.standing(node, slot) is Standing.OPEN:
                generation = view.generation(node, slot)
                commands[node] = [Touch(name, generation, ttl) if node in part.write else Remove(name, generation)]
        replies = (yield commands) if commands else {}
        said += [replies[node][0] for node in part.write if node in replies]
        if route.second.purge and said and all(reply is Answer.MISS for reply in said):
            return False  # What joins may hold the only copy.
        # A purge that may have missed leaves a copy with the old TTL; a touch that may have does no harm.
        purged = [node for node in part.purge if node in replies]
        missed = [node for node in purged if lost(commands[node][0], replies[node][0], purge=True)]
        if missed:
            yield from bump(view, place.suspect(missed))
    if said and all(isinstance(reply, NodeFailure) for reply in said):
        raise NoReplica(epoch=view.epoch)
    return Answer.DONE in said


def _bring(view: View, name: bytes, place: Place) -> Flow[bool]:
    """Flip: fill the joining copies, whose source is purged next. False if that would leave nothing of the key."""
    route, slot = place
    arrived = bool(route.first.write) or not route.second.write
    for target in route.second.write:
        if view.standing(target, slot) is not Standing.OPEN:
            continue
        for attempt in range(FILLS):
            if not (yield from fill(view, {name: place}, target, share=attempt == FILLS - 2)).failed:
                arrived = True
                break
            yield Pause(FILL_WAIT)  # Another client is about to fill it, or died before.
    return arrived
