"""From a fleet into a file: every node is asked for its keys, and for the values of those it is the first to hold."""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django_dcache.commands import Get, Value, is_copyable
from django_dcache.errors import Conflict, NodeFailure
from django_dcache.flows import Flow
from django_dcache.model.keys import plain
from django_dcache.model.placement import Route
from django_dcache.model.stamps import unstamped
from django_dcache.model.topology import Phase
from django_dcache.model.view import View
from django_dcache.runtime.fleet import Fleet
from django_dcache.transport.key_listing import ListingRefused, pages

from ..errors import NothingReachable
from ..jobs.progress import Progress
from ..rebalance.key_filter import KeyFilter
from ..throttle import Throttle
from .file import Writer
from .format import MAX_VALUE_BYTES, legal

FIRST_VALUE_BYTES = 2**10
"""What a value is taken for until one was read, when a batch is cut."""
BATCH_BYTES = 2 * 2**20


@dataclass(slots=True)
class Dumped:
    """What a dump did."""

    items: int = 0
    bytes: int = 0
    """Of the values."""
    gone: int = 0
    """Listed, and not there any more when they were read: expired, deleted or evicted."""
    skipped: int = 0
    """Keys of other software that can't be stored again, and values above 32 MiB."""
    failed: int = 0
    """Keys whose node did not answer when they were read."""
    silent: dict[str, NodeFailure] = field(default_factory=dict)
    """Nodes that could not be asked for all of their keys."""

    @property
    def complete(self) -> bool:
        return not (self.failed or self.silent)


class Dump:
    """One dump of a fleet in a stable topology."""

    def __init__(
        self,
        fleet: Fleet,
        writer: Writer,
        throttle: Throttle,
        progress: Progress,
        tick: Callable[[], None],
        prefix: bytes = b"",
    ):
        """`prefix`: of the names to be dumped. `tick` is called all the time. Raises Conflict while keys are moving."""
        self._fleet, self._writer, self._throttle, self._progress, self._tick = fleet, writer, throttle, progress, tick
        self._prefix = prefix
        self._view = fleet.proven_view()
        if self._view.state.topology.phase is not Phase.STABLE:
            raise Conflict("keys are moving; dump once the resize has ended", epoch=self._view.epoch)
        self.dumped = Dumped()

    def run(self) -> Dumped:
        """Raises Conflict when the fleet moves on, NothingReachable if no node answers."""
        nodes = [name for name, node in self._view.state.topology.nodes.items() if not node.out]
        self._pass(nodes, frozenset())
        away = frozenset(self.dumped.silent)
        if len(away) == len(nodes):
            for failure in self.dumped.silent.values():
                if isinstance(failure, ListingRefused):
                    raise failure
            raise NothingReachable(", ".join(nodes))
        if away:
            self._pass([node for node in nodes if node not in away], away)
        return self.dumped

    def _pass(self, nodes: Sequence[str], away: frozenset[str]) -> None:
        """What each node is the first replica of; if some are `away`, what it is the first of in their place."""
        progress = self._progress
        for number, node in enumerate(nodes):
            progress.doing = f"listing the keys of {node}"
            names, slots = self._list(node, away)
            progress.listed = progress.done + len(names) * (len(nodes) - number)
            progress.doing = f"reading from {node}"
            start, each = 0, FIRST_VALUE_BYTES
            while start < len(names):
                end = start + max(1, min(self._throttle.batch, BATCH_BYTES // each))
                each = self._read(node, names[start:end], slots[start:end]) // (end - start) + 1
                start = end
                self._tick()

    def _list(self, node: str, away: frozenset[str]) -> tuple[list[bytes], "array[int]"]:
        """Those names on a node that are its to tell, and their slots."""

        def wanted(route: Route, name: str) -> bool:
            replicas = route.first.write
            here = [replica for replica in replicas if replica not in away]
            return here[:1] == [name] and (not away or replicas[0] in away)

        view, dumped, prefix = self._view, self.dumped, self._prefix
        keys = KeyFilter(view, node, wanted)
        names: list[bytes] = []
        slots = array("B")
        if keys.empty:
            return names, slots
        try:
            for page in pages(view.state.topology.nodes[node], self._fleet.transport.limits):
                for key, _ in keys.select(page):
                    plain_name = plain(key.name)
                    if not plain_name.startswith(prefix):
                        continue
                    if not legal(plain_name):
                        dumped.skipped += 1
                    elif (name := renamed(view, plain_name)) == key.name:  # Else a prefix of it was invalidated.
                        names.append(name)
                        slots.append(key.slot)
                self._tick()
        except NodeFailure as failure:
            dumped.silent[node] = failure
        return names, slots

    def _read(self, node: str, names: Sequence[bytes], slots: Sequence[int]) -> int:
        """Bring some items into the file; how many bytes that were."""
        fleet, dumped, progress = self._fleet, self.dumped, self._progress
        came, before = fleet.clock(), dumped.bytes
        self._throttle.spend(len(names))
        began = fleet.clock()
        replies = fleet.run(read, self._view.epoch, node, names, slots)
        # Whole seconds, as the node counts them.
        now = int(self._view.wall_clock())
        for name, reply in zip(names, replies, strict=True):
            if isinstance(reply, NodeFailure):
                dumped.failed += 1
                dumped.silent.setdefault(node, reply)
            elif reply is None or reply.data is None:
                dumped.gone += 1
            elif len(reply.data) > MAX_VALUE_BYTES:
                dumped.skipped += 1
            else:
                ends = 0 if reply.ttl is None else now + int(reply.ttl)
                self._writer.add(plain(name), unstamped(reply.flags), ends, reply.data)
                dumped.items += 1
                dumped.bytes += len(reply.data)
        self._throttle.took(len(names), fleet.clock() - began)
        progress.done += len(names)
        progress.moved, progress.bytes = dumped.items, dumped.bytes
        progress.moving_seconds += fleet.clock() - came
        return dumped.bytes - before


def renamed(view: View, plain_name: bytes) -> bytes:
    """The present name of what a snapshot knows by its plain name (docs/adr/0028)."""
    if not view.prefixes:
        return plain_name
    made_key = plain_name.decode("utf-8", "surrogateescape")
    return view.name(made_key) if made_key.startswith(view.prefixes) else plain_name


def read(
    view: View, epoch: int, node: str, names: Sequence[bytes], slots: Sequence[int]
) -> Flow[list[Value | NodeFailure | None]]:
    """What a node holds of these names; None where nothing lives any more. Raises Conflict if the fleet moved on."""
    if view.epoch != epoch:
        raise Conflict(f"keys were listed under epoch {epoch}; dump again", epoch=view.epoch)
    asks = [Get(name, view.generation(node, slot), ttl=True) for name, slot in zip(names, slots, strict=True)]
    replies = (yield {node: asks})[node]
    return [_alive(reply) for reply in replies]


def _alive(reply: object) -> Value | NodeFailure | None:
    return reply if isinstance(reply, NodeFailure) or is_copyable(reply) else None
