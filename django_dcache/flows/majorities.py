"""When enough keepers have answered (docs/explanation/protocol.md#keepers-and-majorities)."""

from collections.abc import Collection

from ..model.topology import Topology


def majority(topology: Topology, names: Collection[str]) -> bool:
    """Whether `names` has a majority of every group of keepers."""
    groups = zip(topology.keepers, topology.needed, strict=True)
    return all(sum(name in names for name in group) >= needed for group, needed in groups)


def witnessed(topology: Topology, names: Collection[str]) -> bool:
    """Whether `names` is enough to have seen whatever a majority of every group was told: one group's majority."""
    groups = zip(topology.keepers, topology.needed, strict=True)
    return any(group and sum(name in names for name in group) >= needed for group, needed in groups)
