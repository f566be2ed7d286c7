"""What one process knows of its fleet at one moment: an immutable snapshot that every operation runs under.

A bumped slot passes through three standings here (docs/adr/0001):

    empty    no process can have stored in the new generation yet: writes have nothing to do there
    closed   a process may have: writes delete there, nothing is stored
    open     no process can hold an older view any more: as ever

`owed` is a slot whose bump is not known to be held by a majority of keepers, for instance because this process could
not deliver it: it touches that slot only when it is.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NamedTuple

from . import keys
from .documents import UNSIGNED, Documents
from .generations import WHOLE_NODE
from .owner import Owner
from .placement import Placement, Route
from .stamps import Generation, stamped
from .state import FleetState, Slot, is_prefix, prefix_slot, settled_slot
from .topology import absent_nodes, server_of


class Standing(Enum):
    OPEN, CLOSED, EMPTY, OWED = range(4)


class Bump(NamedTuple):
    """When a bump stops mattering, in monotonic seconds."""

    empty_until: float
    """Counts only once a majority is known to hold the bump: until then others may still store, and not be heard."""
    closed_until: float
    """For ever while it is not known to be held by a majority: until then a process may prove the older generation."""


class Place(NamedTuple):
    """Where one name lives under one view."""

    route: Route
    slot: int

    def suspect(self, nodes: Iterable[str]) -> set[Slot]:
        """What to bump if writes to these nodes were lost. With them go the joining copies: a reader with an older view
        may be filling those from these at this moment."""
        return {(node, self.slot) for node in (*nodes, *self.route.joining)}


FOR_EVER = float("inf")
STAND_IN = 5 * 10**7
"""The generations of what a node holds for others begin here, far above those of its own keys."""
SLOTS_IN_A_MINUTE = 4
"""1/64 of one node."""


class Allowance:
    """How many slots of a node this process may bump in a minute because it could send nothing there.

    A client that is cut off from one node keeps writing to it. By bumping a slot for each of these writes it would
    empty a node that serves all the others.
    """

    def __init__(self) -> None:
        self._taken: dict[str, list[float]] = {}

    def take(self, slots: Collection[Slot], now: float) -> bool:
        """Whether all of `slots` may be bumped; then they count."""
        recent = {node: [at for at in self._taken.get(node, ()) if now - at < 60] for node, _ in slots}
        if any(len(times) >= SLOTS_IN_A_MINUTE for times in recent.values()):
            return False
        for node, times in recent.items():
            self._taken[node] = [*times, now]
        return True


@dataclass(frozen=True, slots=True)
class View:
    fleet: str
    """The name under which the keepers hold the state."""
    state: FleetState
    placement: Placement
    clock: Callable[[], float]
    """Monotonic seconds."""
    wall_clock: Callable[[], float]
    """Unix time: the protocol wants it for a TTL of more than 30 days."""
    hold: float
    """Seconds after which no process can hold an older view: `freshness` and the longest operation."""
    proven_at: float = float("-inf")
    """When the last reading of a majority of keepers began (monotonic)."""
    bumps: dict[Slot, Bump] = field(default_factory=dict)
    """By slot; of a prefix, by the generation that it had before."""
    debts: dict[Slot, int] = field(default_factory=dict)
    """Generations that a majority of keepers has yet to be told."""
    freshness: float = FOR_EVER
    """Seconds for which a proof is good."""
    serves: bool = True
    """Whether this process continues without a proof (`on_unproven`)."""
    owner: Owner = Owner()
    """By what this process's project is known; documents of others are left alone."""
    documents: Documents = UNSIGNED
    """How what the keepers hold is written, and what of it is believed."""
    held_epoch: int = 0
    """The last epoch that a majority of keepers was known to hold."""
    allowance: Allowance = field(default_factory=Allowance, compare=False)
    """Shared by all views of a process."""
    shunned: frozenset[str] = frozenset()
    """Nodes about to be taken out, which this process leaves alone until that is decided (healing.py)."""
    hash_tags: bool = False
    avoid: frozenset[str] = frozenset()
    """Nodes to read from only when no other copy is left: far slower than the others."""
    coexist: bool = False
    """Whether this process's settings say that classic clients use the nodes too."""
    coexists: bool = field(init=False)
    """Whether they may still: until the fleet state says that they are gone (docs/adr/0040)."""
    prefixes: tuple[str, ...] = field(init=False)
    """The made prefixes that were ever bumped."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "coexists", self.coexist and not self.state.adopted)
        object.__setattr__(self, "prefixes", self.state.prefixes)

    @property
    def epoch(self) -> int:
        return self.state.topology.epoch

    @property
    def proven(self) -> bool:
        """Whether others still count on what is done by this view."""
        return self.clock() - self.proven_at < self.freshness

    @property
    def trusted(self) -> bool:
        """Whether a write by this view may be acknowledged."""
        return self.serves or self.proven

    @property
    def decided_after(self) -> float:
        """Seconds after which every process that is believed has learned of what a majority holds, and acted on it."""
        return self.hold + (self.hold - self.freshness if self.freshness < self.hold else 0.0) / 2

    def name(self, made_key: str) -> bytes:
        """The present name of `made_key`. Raises InvalidKey."""
        if self.coexists:
            return keys.classic_name(made_key)
        if not made_key.startswith(self.prefixes):
            return keys.name(made_key, hash_tags=self.hash_tags)
        # Whichever of them is bumped, the sum rises: neither a name nor its stamp comes twice.
        renamed, stamp = Generation.of(sum(self.generation(*slot) for slot in self._above(made_key)))
        return stamped(keys.name(made_key, renamed, self.hash_tags), stamp)

    def young(self, made_key: str) -> bool:
        """Whether nothing may be stored under the present name yet: a process may still write to the one before, and
        would not be heard (docs/adr/0028)."""
        if not made_key.startswith(self.prefixes):
            return False
        above = tuple(self._above(made_key))
        oldest = Generation.of(sum(map(self._oldest, above)))
        return oldest.renamed < Generation.of(sum(self.generation(*slot) for slot in above)).renamed

    def ripe(self) -> dict[Slot, int]:
        """What says of generations that every process has learned of them: the keepers are told, so that they have
        settled for a process that starts (docs/adr/0016)."""
        settled = {slot: self.generation(*slot) for slot in self.state.unsettled() if self._open(slot)}
        settled |= {slot: self._oldest(slot) for slot in map(prefix_slot, self.prefixes)}
        told = {settled_slot(*slot): generation for slot, generation in settled.items()}
        return {slot: generation for slot, generation in told.items() if generation > self.generation(*slot)}

    def _above(self, made_key: str) -> Iterable[Slot]:
        return (prefix_slot(prefix) for prefix in self.prefixes if made_key.startswith(prefix))

    def _oldest(self, slot: Slot) -> int:
        """The generation of a prefix that some process may still go by."""
        before = (bump[1] for bump in self.bumps if bump[0] == slot[0] and not self._open(bump))
        return min(before, default=self.generation(*slot))

    def _open(self, slot: Slot) -> bool:
        return self.standing(*slot) is Standing.OPEN

    def place(self, name: bytes) -> Place:
        where = self.placement.position(name, self.hash_tags)
        return Place(self.placement.route(where.point), where.slot)

    def places(self, names: Iterable[bytes]) -> dict[bytes, Place]:
        """By name. The chunks of a value share one, which is looked up once."""
        shared: dict[bytes, Place] = {}
        found: dict[bytes, Place] = {}
        for name in names:
            if keys.is_chunk(name):
                digest = keys.hashed_part(name)
                found[name] = shared.get(digest) or shared.setdefault(digest, self.place(name))
            else:
                found[name] = self.place(name)
        return found

    def read_order(self, route: Route) -> tuple[str, ...]:
        """The copies to ask, one after the other."""
        if not self.avoid or self.avoid.isdisjoint(route.read):
            return route.read
        return tuple(sorted(route.read, key=self.avoid.__contains__))

    def shunning(self, names: frozenset[str]) -> "View":
        return self if names == self.shunned else replace(self, shunned=names)

    def avoiding(self, names: frozenset[str]) -> "View":
        return self if names == self.avoid else replace(self, avoid=names)

    def generation(self, node: str, slot: int) -> int:
        found = self.state.generations.get(node)
        if found:
            return found.of(slot)
        absent = absent_nodes(node)
        if not absent:
            return 0
        # Each time one of them is taken out its slots are bumped: what is stored for it is never found the next time.
        return STAND_IN + sum(self.generation(name, slot) for name in (*absent, server_of(node)))

    def standing(self, node: str, slot: int) -> Standing:
        if not self.bumps and not self.debts and not self.shunned:
            return Standing.OPEN
        if absent := absent_nodes(node):
            return max(
                (self.standing(name, slot) for name in (*absent, server_of(node))), key=lambda found: found.value
            )
        if node in self.shunned:
            return Standing.OWED
        now = self.clock()
        if (node, slot) in self.debts:
            return Standing.OWED
        worst = Standing.OPEN
        for bump in (self.bumps.get((node, slot)), self.bumps.get((node, WHOLE_NODE))):
            if bump and bump.closed_until == FOR_EVER:
                return Standing.OWED  # No majority is known to hold it: others may read what the slot held before.
            if bump and now < bump.empty_until:
                return Standing.EMPTY
            if bump and now < bump.closed_until:
                worst = Standing.CLOSED
        return worst

    def learn(self, news: FleetState, proven_at: float | None = None, held: bool = True) -> "View":
        """This view and what `news` adds. `proven_at`: when asking a majority for it began, if a majority answered;
        `held`: whether a majority holds it, so that no process proves anything older from now on."""
        state, now = self.state.merge(news), self.clock()
        placement = self.placement
        if state.topology != self.state.topology:
            placement = Placement(state.topology, placement.zone, placement)
        bumps = {slot: bump for slot, bump in self.bumps.items() if bump.closed_until > now and not _over(state, slot)}
        # The old generation was still the newest when this view was last proven: the bump came after that.
        fresh = Bump(self.proven_at + self.hold, now + self.hold if held else FOR_EVER)
        for slot in _risen(self.state, state):
            bumps[slot] = fresh
        if held and news.generations == state.generations:
            bumps = {slot: Bump(b.empty_until, min(b.closed_until, now + self.hold)) for slot, b in bumps.items()}
        debts = {s: wanted for s, wanted in self.debts.items() if state.generation(*s) < wanted and state.keeps(s[0])}
        return replace(
            self,
            state=state,
            placement=placement,
            bumps=bumps,
            debts=debts if held and proven_at is not None else self.debts,
            held_epoch=state.topology.epoch if held and proven_at is not None else self.held_epoch,
            proven_at=self.proven_at if proven_at is None else max(proven_at, self.proven_at),
        )

    def places_as(self, other: "View") -> bool:
        """Whether both ask the same nodes for each key, and in the same way."""
        return (
            (self.state is other.state or self.state == other.state)
            and self.bumps.keys() == other.bumps.keys()
            and self.debts == other.debts
            and self.avoid == other.avoid
            and self.shunned == other.shunned
        )

    def owing(self, wanted: dict[Slot, int]) -> "View":
        """This view with debts to be paid."""
        return replace(self, debts=self.debts | {s: max(w, self.debts.get(s, 0)) for s, w in wanted.items()})


def _risen(old: FleetState, new: FleetState) -> Iterable[Slot]:
    """What was bumped since `old`, and has not settled yet. A prefix with the generation before in place of a slot: it
    may be bumped again and again, and each time has a quarantine of its own."""
    for node, slot in new.unsettled():
        if new.generation(node, slot) > old.generation(node, slot):
            yield node, slot
    for prefix in map(prefix_slot, new.prefixes):
        before = max(old.generation(*prefix), new.generation(*settled_slot(*prefix)))
        if new.generation(*prefix) > before:
            yield prefix[0], before


def _over(state: FleetState, slot: Slot) -> bool:
    """Whether no process can go by what was before a bump any more."""
    node, number = slot
    if is_prefix(node):
        return state.generation(*settled_slot(node, 0)) > number
    return state.settled(node, number)
