"""What one epoch changed against another."""

from dcache_manager.rebalance.epochs import differences
from django_dcache.model.topology import Layout, Node, Phase, Topology

A, B = (Node.at(f"10.0.0.{number}", name) for number, name in ((1, "a"), (2, "b")))
ONE, TWO = Layout((A,)), Layout((A, B))
MOVING = Topology(2, ONE, Phase.PREPARE, TWO)


def test_a_resize() -> None:
    """Its beginning says what is to be done, its phases follow, and its end says what was done."""
    assert differences(Topology(1, ONE), MOVING) == [
        "phase stable becomes prepare",
        "to be done: add b (10.0.0.2:11211, weight 1)",
    ]
    copying = Topology(3, ONE, Phase.COPY, TWO)
    assert differences(MOVING, copying) == ["phase prepare becomes copy"]
    assert differences(copying, Topology(6, TWO)) == ["phase copy becomes stable", "add b (10.0.0.2:11211, weight 1)"]


def test_going_back() -> None:
    """A resize that was cancelled leads back to the layout before."""
    assert differences(MOVING, Topology(3, ONE)) == ["phase prepare becomes stable", "back to the layout before"]
    assert differences(Topology(1, ONE), Topology(2, ONE)) == ["no change of the layout"]
