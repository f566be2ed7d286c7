"""What a look at a fleet from outside finds: its running topology, the state its keepers hold, each node's report.

Looking plants and repairs nothing, so it is safe with a wrong list of nodes, and while the site is down.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import reduce
from typing import Any

from django_dcache.conf import Configuration
from django_dcache.errors import InvalidKey, InvalidTopology, UnknownFormat
from django_dcache.flows.majorities import majority
from django_dcache.flows.planting import most_held
from django_dcache.model import keys
from django_dcache.model.documents import LEASE, REPORT
from django_dcache.model.moments import MINUTES_TO_2025
from django_dcache.model.placement import Replicas
from django_dcache.model.state import FleetState, Note, conductor_key, progress_key, state_key
from django_dcache.model.topology import Layout, Node, Phase, Topology
from django_dcache.transport.limits import Limits

from ..errors import NothingReachable
from ..jobs.owner import dead_here
from ..jobs.progress import Progress
from .node_query import NodeReport, survey
from .target import Target


@dataclass(frozen=True, slots=True)
class FleetReport:
    alias: str
    configuration: Configuration
    topology: Topology
    """What runs. Epoch 0: no keeper knows of a fleet by this name, so this is what would be planted."""
    reports: dict[str, NodeReport]
    """By address, also those of nodes outside the topology that were asked."""
    states: dict[str, FleetState]
    """What each node of the topology that holds a state holds, by its name."""
    refused: dict[str, UnknownFormat] = field(default_factory=dict)
    """Why what a node holds is not to be believed, by its name: to the fleet it is as good as silent."""

    def of(self, node: Node) -> NodeReport:
        return self.reports[node.address]

    @property
    def planted(self) -> bool:
        return self.topology.epoch > 0

    @property
    def proven(self) -> bool:
        """Whether a majority of keepers holds this epoch: then nothing newer can be hidden on the others."""
        return majority(self.topology, [name for name, state in self.states.items() if state.topology == self.topology])

    @property
    def serving(self) -> Layout:
        """The layout by which reads are answered now."""
        return self.topology.layouts[-1 if self.topology.phase in (Phase.FLIP, Phase.SETTLE) else 0]

    @property
    def hold_seconds(self) -> float:
        """How long a process may take to learn of an epoch: a resize waits so long in each phase."""
        options = self.configuration.options
        return options.freshness + options.operation

    @property
    def conductor(self) -> str | None:
        """Who holds the conductor's lease; None where that was a process of this machine that is gone."""
        held = self._documents(conductor_key(self.configuration.fleet), LEASE)
        names = (document.decode("ascii", "replace") for document in held)
        return next((name for name in names if not dead_here(name)), None)

    @property
    def progress(self) -> Progress | None:
        """The last report of the present or last resize, if there was one within the hour."""
        held = self._documents(progress_key(self.configuration.fleet), REPORT)
        found = [Progress.decode(document) for document in held]
        return max((progress for progress in found if progress), key=lambda progress: progress.updated, default=None)

    def _documents(self, key: bytes, kind: bytes) -> Iterator[bytes]:
        documents, now = self.configuration.documents(), time.time()
        for names in self.topology.keepers:
            for name in names:
                held = self.of(self.topology.nodes[name]).reply.documents.get(key)
                if held and (document := documents.unseal(kind, held, now)):
                    yield document

    def errors(self) -> list[dict[str, Any]]:
        """What is wrong with this look, as an answer's `errors`."""
        found: list[dict[str, Any]] = [
            {"node": node.name, "error": type(failure).__name__, "message": str(failure)}
            for node in self.topology.nodes.values()
            if not node.out and (failure := self.of(node).failure)
        ]
        found += [
            {"node": name, "error": type(refused).__name__, "message": str(refused)}
            for name, refused in self.refused.items()
        ]
        if self.planted and not self.proven:
            text = "Too few keepers hold this epoch: there may be a newer one."
            found.append({"node": None, "error": "NoMajority", "message": text})
        return found

    def rows(self) -> list[dict[str, Any]]:
        """One object a node, as `status` shows it."""
        shares = Replicas(self.serving).ring.share()
        return [self._row(node, shares.get(name, 0.0)) for name, node in self.topology.nodes.items()]

    def _row(self, node: Node, share: float) -> dict[str, Any]:
        report = self.of(node)
        reply = report.reply
        return {
            "name": node.name,
            "address": node.address,
            "zone": node.zone,
            "weight": node.weight,
            "state": self.standing(node),
            "since": self._since(node),
            "owns": round(share, 6),
            "items": reply.items,
            "bytes": reply.used_bytes,
            "limit_bytes": reply.limit_bytes,
            "hit_ratio": reply.hit_ratio,
            "hits": reply.hits,
            "misses": reply.misses,
            "operations": reply.operations,
            "evictions": reply.evictions,
            "connections": reply.connections,
            "version": reply.version or None,
            "answer_seconds": None if report.failure else round(report.seconds, 6),
        }

    def _since(self, node: Node) -> str | None:
        """Since when the node has been as it is: running, or taken out by the processes. Not known of a silent one."""
        report = self.of(node)
        if node.out:
            minute = max((state.note(node.name, Note.SERIES) // 16 for state in self.states.values()), default=0)
            return _moment((minute + MINUTES_TO_2025) * 60) if minute else None
        seconds = report.reply.uptime_seconds
        return None if seconds is None else _moment(report.asked_at - seconds)

    def standing(self, node: Node) -> str:
        """down (no answer) or suspect (half an answer); else out, joining, leaving or up."""
        report, names = self.of(node), [{node.name for node in layout.nodes} for layout in self.topology.layouts]
        if node.out:
            return "out"
        if report.failure:
            return "suspect" if report.reply.answered else "down"
        if node.name not in names[0]:
            return "joining"
        return "up" if node.name in names[-1] else "leaving"

    def locate(self, target: Target, wanted: Iterable[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Where keys live now: (one item per key in order, errors for the keys that no cache would take)."""
        replicas, hash_tags = Replicas(self.serving), self.configuration.options.hash_tags
        items: list[dict[str, Any]] = []
        refused: list[dict[str, Any]] = []
        for key in wanted:
            made_key = target.make_key(key)
            item: dict[str, Any] = {"key": key, "made_key": made_key, "node": None, "address": None}
            item |= {"replicas": [], "slot": None}
            items.append(item)
            try:
                where = replicas.position(keys.name(made_key, hash_tags=hash_tags), hash_tags)
            except InvalidKey as error:
                refused.append({"node": None, "error": "InvalidKey", "message": str(error), "key": key})
                continue
            holders = replicas.of(where.point)
            item |= {"replicas": list(holders), "slot": where.slot}
            if holders:
                item |= {"node": holders[0], "address": self.topology.nodes[holders[0]].address}
        return items, refused


def limits(configuration: Configuration) -> Limits:
    """How nodes are to be connected to, for what is not said to them through a fleet."""
    options = configuration.options
    return Limits(
        *(options.timeout, options.connect_timeout),
        tls=options.tls,
        address_remap=options.address_remap,
        logins=configuration.logins,
        common_login=options.login,
    )


def look(target: Target, seconds: float, also: Iterable[Node] = (), *, resize: bool = False) -> FleetReport:
    """What can be found out within `seconds`. `also`: nodes to ask although they may not be of the fleet. `resize`: ask
    for the conductor and its report too; where there are none, each node counts two misses.

    Raises NothingReachable.
    """
    configuration = target.configuration
    fleet, documents = configuration.fleet, configuration.documents()
    wanted = [state_key(fleet), *([conductor_key(fleet), progress_key(fleet)] if resize else [])]
    newest = unknown = FleetState(Topology(0, configuration.layout))
    states: dict[str, FleetState] = {}
    refused: dict[str, UnknownFormat] = {}

    def more(report: NodeReport) -> Iterable[Node]:
        nonlocal newest
        address, document = report.node.address, report.reply.documents.get(wanted[0])
        try:
            if document:
                states[address] = documents.read(document, node=report.node.name).state
                newest = newest.merge(states[address])
        except UnknownFormat as error:
            refused[address] = error
        except InvalidTopology:
            pass  # What makes no sense is replaced by the next process that changes anything.
        return newest.topology.nodes.values()

    reports = survey([*configuration.layout.nodes, *also], wanted, limits(configuration), seconds, more)
    # What a node holds of a map that was lost, or that another site planted, is not what runs (docs/adr/0044).
    counts = most_held(states.values())
    of_one_map = (state for state in states.values() if state.planted == counts)
    topology = reduce(FleetState.merge, of_one_map, unknown).topology
    if not any(reports[node.address].reply.answered for node in topology.nodes.values()):
        causes = {node.address: reports[node.address].failure for node in topology.nodes.values()}
        raise NothingReachable(", ".join(f"{at} ({why.cause if why else 'silent'})" for at, why in causes.items()))
    nodes = topology.nodes.items()
    held = {name: states[node.address] for name, node in nodes if node.address in states}
    left_alone = {name: refused[node.address] for name, node in nodes if node.address in refused}
    return FleetReport(target.alias, configuration, topology, reports, held, left_alone)


def look_closely(target: Target, seconds: float) -> FleetReport:
    """`look`, also for the conductor and its report where keys are moving: all within `seconds`. Raises as `look`."""
    seen = look(target, seconds / 2)
    return look(target, seconds / 2, resize=True) if seen.topology.target else seen


def _moment(seconds: float) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return None
