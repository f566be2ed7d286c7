"""Reading and changing the fleet state on the keepers, and the bump that makes a lost write harmless.

The rules: docs/explanation/protocol.md#fleet-state and #lost-replies-generations.
"""

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple
from zlib import crc32

from ..commands import Answer, Get, Store, Value
from ..errors import InvalidTopology, NotOurs, TooManyPrefixes, UnknownFormat
from ..model.documents import TRACE
from ..model.moments import minutes
from ..model.state import MAX_PREFIXES, FleetState, Slot, prefix_slot, state_key, trace_key
from ..model.topology import server_of
from ..model.view import View
from . import Batches, Brief, Flow, Learn, Owe, Pause, Replies, Urgent
from .disown import disowned
from .majorities import majority, witnessed
from .planting import highest_ever, merged_with, plant

ATTEMPTS = 12
CONFLICT_WAIT = 0.0005
"""Seconds; a process that loses a race for the document waits up to 15 times as long, each for another time."""


class Agreement(NamedTuple):
    """What the keepers hold now."""

    state: FleetState
    majority: bool
    """Whether a majority of the keepers of every layout holds it."""


class Reading(NamedTuple):
    """What keepers hold; those that gave no usable answer are left out."""

    held: dict[str, FleetState | None]
    """None: nothing, or nothing that makes sense. It gets ours."""
    outdated: set[str]
    """Those whose document is to be signed anew."""
    refused: dict[str, UnknownFormat]
    """Those whose document must not be replaced by what this process understands: they are as good as silent."""


def prove(view: View) -> Flow[bool]:
    """Ask the keepers whether this view is still the newest; learn what is newer; True if a majority answered.

    In a quiet fleet this is one round of one small command a keeper. Debts are paid on the way, and bumps settled.
    """
    asked_at = view.clock()
    ripe, debts = view.ripe(), view.debts
    same, answered = yield from compare(view)
    if answered <= same and not ripe and not debts and view.epoch:
        proven = witnessed(view.state.topology, same)
        if proven:
            yield Learn(view.state, asked_at, majority(view.state.topology, same))
        return proven
    try:
        found = yield from agree(view, lambda state: disowned(state.bumped(ripe), debts), everywhere=not view.epoch)
    except UnknownFormat:
        return False  # As good as no answer.
    return found.majority


def unmoved(view: View, slots: Iterable[Slot]) -> Flow[bool]:
    """Whether a majority of keepers knows of no bump of these slots, and of no other layout, that this view lacks."""
    same, answered = yield from compare(view)
    if answered <= same:
        return witnessed(view.state.topology, same)
    try:
        found = yield from agree(view, lambda state: state)
    except UnknownFormat:
        return False
    still = all(found.state.generation(*slot) == view.generation(*slot) for slot in slots)
    return found.majority and still and found.state.topology.layout in view.state.topology.layouts


def compare(view: View) -> Flow[tuple[set[str], set[str]]]:
    """The keepers that hold just what this view knows, and those that answered: one small command for each."""
    digest, key = _digest(view.state), state_key(view.fleet)
    # One keeper that is slow must not cost the time to learn what the others know.
    ask = [Get(key, value=False, uncounted=True)]
    replies = yield Brief(dict.fromkeys(view.state.topology.all_keepers, ask))
    same = {node for node, (reply,) in replies.items() if isinstance(reply, Value) and reply.flags == digest}
    answered = {node for node, (reply,) in replies.items() if isinstance(reply, Value) or reply is Answer.MISS}
    return same, answered


def bump(view: View, lost: Iterable[Slot], unchanged: Iterable[Slot] = ()) -> Flow[bool]:
    """Make what the `lost` slots hold unreachable, for every process, before a write is acknowledged.

    The same for slots in which nothing can have been changed, if it can be done now. False: no majority could be told,
    and the bump of what was lost is a debt of this process now; or the fleet is more than one epoch
    ahead, or has another map, and the key may live on nodes that this process, having stood still, knows nothing of.
    """
    if view.coexists:
        return False  # A classic client would ask for the same key again: the write is not acknowledged, and no more.
    debts = {(server_of(node), slot) for node, slot in lost}
    slots = debts | {(server_of(node), slot) for node, slot in unchanged}
    wanted = {slot: view.generation(*slot) + 1 for slot in slots}
    away, known = {node for node, _ in wanted}, view.state.topology.layouts
    try:
        told = yield from agree(view, lambda state: disowned(state, wanted, known), avoid=away, round_type=Urgent)
    except UnknownFormat:
        told = Agreement(view.state, False)
    if debts and not told.majority:
        yield Owe({slot: wanted[slot] for slot in debts})
    return told.majority and told.state.topology.epoch <= view.epoch + 1 and told.state.planted == view.state.planted


def bump_prefix(view: View, made_prefix: str) -> Flow[bool]:
    """Make every key that begins with `made_prefix` unreadable: for this process at once, for every other within
    `freshness`. False: too few keepers could be told. Raises TooManyPrefixes.

    Beyond what the keepers hold, not what this process knows: another one may have bumped the prefix just now, and have
    stored something since.
    """
    slot = prefix_slot(made_prefix)

    def change(state: FleetState) -> FleetState:
        if len(state.prefixes) >= MAX_PREFIXES and made_prefix not in state.prefixes:
            raise TooManyPrefixes(repr(made_prefix))
        return state.bumped({slot: state.generation(*slot) + 1})

    try:
        return (yield from agree(view, change, round_type=Urgent)).majority
    except UnknownFormat:
        return False


def agree(
    view: View,
    change: Callable[[FleetState], FleetState],
    *,
    also: Collection[str] = (),
    avoid: Collection[str] = (),
    everywhere: bool = False,
    round_type: Callable[[Batches], Batches] = dict,
) -> Flow[Agreement]:
    """Merge the keepers' documents, `change` the result, and write it back wherever it differs.

    `also`: nodes that will be keepers once the change is made. `avoid`: keepers known to be away, left out as long as
    the rest is enough. `everywhere`: all nodes, so that a process that knows only some of them finds its way; only
    keepers count. Raises whatever `change` raises, and UnknownFormat.
    """
    key = state_key(view.fleet)
    state = view.state
    reached: set[str] = set()
    for _ in range(ATTEMPTS):
        topology = state.topology
        names = set(topology.nodes) if everywhere else set(topology.all_keepers)
        names |= set(also)
        if majority(topology, names - set(avoid)):
            names -= set(avoid)
        asked_at = view.clock()
        asks = {name: [Get(key, token=True, uncounted=True)] for name in names}
        replies = yield Brief(asks) if round_type is dict else round_type(asks)
        believed, outdated, refused = _read(view, replies)
        held, merged = merged_with(view, state, believed)
        answered = set(held)
        if merged.topology.all_keepers - names - set(avoid):
            # The fleet has moved on: ask the nodes that keep its state now, once they are known to be spoken to.
            yield Learn(merged, held=False)
            state = merged
            continue
        seen = merged.topology.epoch > 0 and witnessed(merged.topology, answered)
        # Learning in two steps: up to `asked_at` the old generations were the newest (view.py, `empty`).
        yield Learn(merged, asked_at if seen else None, held=False, refused=refused)
        if refused and not majority(merged.topology, answered):
            raise next(iter(refused.values()))
        if merged.topology.epoch == 0 and not majority(merged.topology, answered):
            return Agreement(merged, False)  # Planting needs to know that there is nothing to be found.
        if merged.topology.epoch == 0:
            planted = yield from plant(view, merged)
            if planted is None:
                return Agreement(merged, False)
            merged = planted
        # The site is said once, when a process begins: more sites than are kept would replace each other for ever.
        wanted = change(merged).owned_by(view.owner, 0 if view.epoch else max(1, minutes(view.wall_clock())))
        differ = outdated | {name for name in answered if held[name] != wanted}
        data = view.documents.write(wanted) if differ else b""
        told = {name: stores(view, wanted, data, replies[name][0]) for name in differ}
        outcome = (yield round_type(told)) if told else {}
        conflicts = {
            name for name, (reply, *_) in outcome.items() if reply in (Answer.CONFLICT, Answer.NOT_STORED, Answer.MISS)
        }
        reached = {name for name in answered if name not in told or outcome[name][0] is Answer.DONE}
        state = merged
        if majority(merged.topology, reached) and majority(wanted.topology, reached):
            yield Learn(wanted, asked_at)
            return Agreement(wanted, True)
        if not conflicts:
            break
        yield Pause(CONFLICT_WAIT * (_digest(wanted) % 16))
    return Agreement(state, False)


def stores(view: View, state: FleetState, document: bytes, reply: object = None) -> list[Store]:
    """The document, where it was or none was; and a trace that outlives it, once names are not what they were."""
    token = reply.token if isinstance(reply, Value) else None
    store = Store(state_key(view.fleet), 0, document, flags=_digest(state), add=token is None, token=token)
    if not (highest := highest_ever(state)):
        return [store]
    return [store, Store(trace_key(view.fleet), 0, view.documents.seal(TRACE, b"%d" % highest))]


def _digest(state: FleetState) -> int:
    """The flags of its document, whichever process signed it."""
    return crc32(state.encode())


def _read(view: View, replies: Replies) -> Reading:
    """What came of asking keepers for their documents."""
    found = Reading({}, set(), {})
    for name, (reply,) in replies.items():
        if isinstance(reply, Value) and reply.data is not None:
            try:
                state, current = view.documents.read(reply.data, view.epoch, name)
                if why := view.owner.strange(state.marks, view.fleet):
                    raise NotOurs(f"fleet {view.fleet!r} on {', '.join(state.topology.nodes)}: {why}", node=name)
            except UnknownFormat as error:
                found.refused[name] = error
            except InvalidTopology:
                found.held[name] = None
            else:
                found.held[name] = state
                found.outdated.update(() if current else {name})
        elif isinstance(reply, Value) or reply is Answer.MISS:
            found.held[name] = None
    return found
