"""What the transport tells of its nodes, each thing once: for logs and metrics."""

from ..errors import NodeFailure
from ..model.topology import Node


class Observer:
    """One that is told. Called with no lock held; it must not wait."""

    def node_fails(self) -> None:
        """A node has failed, for the first time since it answered last."""

    def node_down(self, node: Node, failure: NodeFailure) -> None:
        """The node is left alone from now on, but for probes; this was the last of its failures."""

    def node_up(self, node: Node, seconds: float) -> None:
        """It is used as any other again; it was not for `seconds`."""

    def node_unresolved(self, node: Node, failure: NodeFailure) -> None:
        """Its name has no address: no state of the node, and it may be so for each operation."""
