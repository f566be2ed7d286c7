"""What a look at a fleet from outside finds: its running topology, the state its keepers hold, and every node's report.

Looking plants and repairs nothing, so it is safe with a wrong list of nodes, and while the site is down.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django_dcache.conf import Configuration
from django_dcache.errors import InvalidTopology, UnknownFormat
from django_dcache.flows.consensus import majority
from django_dcache.model.placement import Replicas
from django_dcache.model.state import FleetState, conductor_key, progress_key, state_key
from django_dcache.model.topology import Layout, Node, Phase, Topology
from django_dcache.transport.pool import Limits

from ..cli.exit_codes import NothingReachable
from ..jobs.progress import Progress
from .node_query import Report, survey
from .target import Target


@dataclass(frozen=True, slots=True)
class Sighting:
    alias: str
    configuration: Configuration
    topology: Topology
    """What runs. Epoch 0: no keeper knows of a fleet by this name, so this is what would be planted."""
    reports: dict[str, Report]
    """By address, those of nodes outside the topology that were asked too."""
    states: dict[str, FleetState]
    """What each node of the topology that holds a state holds, by its name."""

    def report(self, node: Node) -> Report:
        return self.reports[node.address]

    @property
    def planted(self) -> bool:
        return self.topology.epoch > 0

    @property
    def proven(self) -> bool:
        """Whether a majority of keepers holds this epoch: then nothing newer can be hidden on the others."""
        return majority(self.topology, [name for name, state in self.states.items() if state.topology == self.topology])

    @property
    def truth(self) -> Layout:
        """The layout by which reads are answered now."""
        return self.topology.layouts[-1 if self.topology.phase in (Phase.FLIP, Phase.SETTLE) else 0]

    @property
    def conductor(self) -> str | None:
        """Who holds the lease."""
        held = self._documents(conductor_key(self.configuration.fleet))
        return next((document.decode("ascii", "replace") for document in held), None)

    @property
    def progress(self) -> Progress | None:
        """The last report of the present or last resize, if there was one within the hour."""
        found = [Progress.decode(document) for document in self._documents(progress_key(self.configuration.fleet))]
        return max((progress for progress in found if progress), key=lambda progress: progress.updated, default=None)

    def _documents(self, key: bytes) -> Iterator[bytes]:
        for names in self.topology.keepers:
            for name in names:
                if document := self.report(self.topology.nodes[name]).words.values.get(key):
                    yield document

    def errors(self) -> list[dict[str, Any]]:
        """What is wrong with this look, for the envelope."""
        found: list[dict[str, Any]] = [
            {"node": node.name, "error": type(failure).__name__, "message": str(failure)}
            for node in self.topology.nodes.values()
            if not node.out and (failure := self.report(node).failure)
        ]
        if self.planted and not self.proven:
            text = "Too few keepers hold this epoch: there may be a newer one."
            found.append({"node": None, "error": "NoMajority", "message": text})
        return found

    def rows(self) -> list[dict[str, Any]]:
        """One object a node, as `status` shows it."""
        shares = Replicas(self.truth).ring.share()
        return [self._row(node, shares.get(name, 0.0)) for name, node in self.topology.nodes.items()]

    def _row(self, node: Node, share: float) -> dict[str, Any]:
        report, words = self.report(node), self.report(node).words
        hits, misses, uptime = (words.number(name) for name in ("get_hits", "get_misses", "uptime"))
        asked = (hits or 0) + (misses or 0)
        began = _moment(report.asked_at - uptime) if uptime is not None else None
        return {
            "name": node.name,
            "address": node.address,
            "zone": node.zone,
            "weight": node.weight,
            "state": self.standing(node),
            "since": began,
            "owns": round(share, 6),
            "items": words.number("curr_items"),
            "bytes": words.number("bytes"),
            "limit_bytes": words.number("limit_maxbytes"),
            "hit_ratio": round((hits or 0) / asked, 6) if asked else None,
            "evictions": words.number("evictions"),
            "connections": words.number("curr_connections"),
            "version": words.version or None,
        }

    def standing(self, node: Node) -> str:
        """down (no answer) or suspect (half an answer); else out, joining, leaving or up."""
        report, names = self.report(node), [{node.name for node in layout.nodes} for layout in self.topology.layouts]
        if node.out:
            return "out"
        if report.failure:
            return "suspect" if report.answered else "down"
        if node.name not in names[0]:
            return "joining"
        return "up" if node.name in names[-1] else "leaving"


def look(target: Target, seconds: float, also: Iterable[Node] = (), *, resize: bool = False) -> Sighting:
    """What can be found out within `seconds`. `also`: nodes to ask although they may not be of the fleet. `resize`: ask
    for the conductor and its report too; where there are none, each node counts two misses.

    Raises NothingReachable, and UnknownFormat if a newer release wrote the state.
    """
    configuration = target.configuration
    fleet, options = configuration.fleet, configuration.options
    keys = [state_key(fleet), *([conductor_key(fleet), progress_key(fleet)] if resize else [])]
    newest = FleetState(Topology(0, configuration.layout))

    def more(report: Report) -> Iterable[Node]:
        nonlocal newest
        if state := _state(report, keys[0]):
            newest = newest.merge(state)
        return newest.topology.nodes.values()

    limits = Limits(options.timeout, options.connect_timeout, tls=options.tls, address_remap=options.address_remap)
    reports = survey([*configuration.layout.nodes, *also], keys, limits, seconds, more)
    topology = newest.topology
    if not any(reports[node.address].answered for node in topology.nodes.values()):
        raise NothingReachable(", ".join(node.address for node in topology.nodes.values()))
    states = {name: state for name, node in topology.nodes.items() if (state := _state(reports[node.address], keys[0]))}
    return Sighting(target.alias, configuration, topology, reports, states)


def _state(report: Report, key: bytes) -> FleetState | None:
    document = report.words.values.get(key)
    try:
        return FleetState.decode(document) if document else None
    except UnknownFormat:
        raise
    except InvalidTopology:
        return None  # A copy that makes no sense is replaced by the next process that changes anything.


def _moment(seconds: float) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return None
