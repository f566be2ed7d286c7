"""What is believed of a resize that another process leads."""

from types import SimpleNamespace

import pytest

from dcache_manager.inspection.target import of_nodes
from dcache_manager.jobs.progress import Progress
from dcache_manager.rebalance import service
from django_dcache.model.topology import Layout, Node, Topology

STABLE = Topology(1, Layout((Node.at("10.0.0.1"),)))
MOVING = STABLE.begin(Layout((Node.at("10.0.0.1"), Node.at("10.0.0.2"))))


@pytest.mark.parametrize(
    ("topology", "said", "conductor", "shown"),
    [
        (STABLE, None, None, "idle"),
        (STABLE, "done", None, "done"),
        (STABLE, "running", None, "idle"),
        (STABLE, "running", "me", "running"),
        (MOVING, "running", "me", "running"),
        (MOVING, "paused", "me", "paused"),
        (MOVING, "running", None, "interrupted"),
        (MOVING, "done", None, "interrupted"),
        (MOVING, "done", "me", "running"),
        (MOVING, None, None, "interrupted"),
    ],
)
def test_a_conductor_that_is_gone_is_not_believed(topology, said, conductor, shown):
    """The last report counts only as far as the phase and the lease bear it out."""
    progress = Progress("job", "me", state=said) if said else None
    seen = SimpleNamespace(topology=topology, progress=progress, conductor=conductor)
    assert service.status(of_nodes("10.0.0.1"), seen).state == shown
