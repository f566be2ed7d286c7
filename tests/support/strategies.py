"""Topologies and states to draw from."""

from dataclasses import replace

from hypothesis import strategies as st

from django_dcache.model.generations import Generations
from django_dcache.model.state import Control, FleetState
from django_dcache.model.topology import Layout, Node, Phase, Topology

names = st.sampled_from([f"n{i}" for i in range(8)])


@st.composite
def layouts(draw, pool=tuple(f"n{i}" for i in range(8)), least=1, zones=("", "a", "b"), out=True):
    """A layout of some of the nodes in `pool`; a name always has the same address."""
    chosen = draw(st.lists(st.sampled_from(pool), unique=True, min_size=least, max_size=6))
    nodes = tuple(
        Node(
            name,
            f"10.0.0.{name[1:]}:11211",
            draw(st.integers(1, 3)),
            draw(st.sampled_from(zones)),
            draw(st.booleans()) if out else False,
        )
        for name in chosen
    )
    return Layout(nodes, draw(st.integers(1, 4)), draw(st.sampled_from(("ketama", "libmemcached"))))


@st.composite
def topologies(draw, phases=tuple(Phase), **options):
    """A topology in any phase."""
    phase = draw(st.sampled_from(phases))
    target = None if phase is Phase.STABLE else draw(layouts(**options))
    epoch, fence = draw(st.integers(0, 5)), draw(st.integers(0, 3))
    return Topology(epoch, draw(layouts(**options)), phase, target, fence)


@st.composite
def generations(draw):
    """Generations as bumps make them."""
    made = Generations()
    for step in draw(st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 5), st.integers(1, 4))), max_size=5)):
        made = made.bump_all() if step is None else made.at_least(*step)
    return made


@st.composite
def states(draw, topology=None):
    """A state as bumps and conductors make it: it keeps generations of nodes of its topology."""
    topology = draw(topologies()) if topology is None else topology
    return FleetState(
        topology,
        draw(st.dictionaries(st.sampled_from(sorted(topology.nodes)), generations(), max_size=3)),
        draw(st.integers(0, 5)),
        draw(st.builds(Control, st.integers(0, 2), st.sampled_from(("run", "pause", "cancel")))),
    )


@st.composite
def histories(draw):
    """States of one fleet whose nodes stay the same."""
    topology = draw(topologies())
    epochs = st.integers(0, 5).map(lambda epoch: replace(topology, epoch=epoch))
    return [draw(states(draw(epochs))) for _ in range(3)]
