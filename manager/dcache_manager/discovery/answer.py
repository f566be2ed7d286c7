"""What a source says: the nodes that there should be, as far as it knows them."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django_dcache.errors import InvalidTopology
from django_dcache.model import addresses
from django_dcache.model.topology import Node


@dataclass(frozen=True, slots=True)
class Found:
    """One node. What the source does not know of it stays as the fleet has it."""

    address: str
    """As the fleet spells it."""
    name: str = ""
    """Empty: the source knows addresses only."""
    weight: int | None = None
    zone: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "address", str(addresses.parse(self.address)))
        self.node()  # Nothing that no fleet would take gets further than this.

    def node(self) -> Node:
        """The node that this is to a fleet that does not know it yet. Raises InvalidTopology."""
        return Node.at(self.address, self.name, 1 if self.weight is None else self.weight, self.zone or "")


Answer = tuple[Found, ...]
"""In the order of addresses, each node once: two reads that found the same nodes are equal."""


def answer(found: Iterable[Found]) -> Answer:
    return tuple(sorted(set(found), key=lambda node: (node.address, node.name)))


def from_document(document: Any) -> Answer:
    """The answer in a parsed file: {"nodes": […]} with entries as in LOCATION. Raises InvalidTopology."""
    nodes = document.get("nodes") if isinstance(document, Mapping) else None
    if not isinstance(nodes, list):
        raise InvalidTopology('want "nodes", a list of addresses or of tables with name and address')
    return answer(map(_entry, nodes))


def to_document(said: Answer) -> dict[str, Any]:
    """What `from_document` reads."""
    return {"nodes": [{key: value for key, value in asdict(node).items() if value not in ("", None)} for node in said]}


def _entry(entry: Any) -> Found:
    if isinstance(entry, str):
        return Found(entry)
    known = {"name", "address", "weight", "zone"}
    if not isinstance(entry, Mapping) or "address" not in entry or not known.issuperset(entry):
        raise InvalidTopology(f"{entry!r} is no node: want an address, or a table of {', '.join(sorted(known))}")
    return Found(**entry)
