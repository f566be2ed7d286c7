"""What an operator should do now, by what a look at the fleet found."""

from django_dcache.errors import NodeUnreachable, NotGreeted
from django_dcache.model.topology import Node

from .fleet_report import FleetReport


def next_steps(seen: FleetReport) -> list[str]:
    """A sentence each; none where all is well."""
    steps = []
    if seen.refused:
        why = next(iter(seen.refused.values()))
        steps.append(f"What {', '.join(seen.refused)} hold as the fleet's state is not believed: {why.detail or why}.")
    elif not seen.planted:
        steps.append("No node knows this fleet: no process has used it yet, or -c names another one.")
    if seen.planted and not seen.proven:
        steps.append("No majority of the keepers holds this epoch, so reads are misses: bring the silent ones back.")
    steps += filter(None, (next_step(seen, node) for node in seen.topology.nodes.values()))
    if seen.topology.target:
        by = f"led by {seen.conductor}: `rebalance watch` shows it" if seen.conductor else ""
        interrupted = "interrupted: `rebalance resume` finishes it, `rebalance cancel` goes back"
        steps.append(f"A resize is in phase {seen.topology.phase}, {by or interrupted}.")
    return steps


def next_step(seen: FleetReport, node: Node) -> str:
    """What to do about one node; empty if nothing."""
    state, failure = seen.standing(node), seen.of(node).failure
    if state == "down":
        return f"{node.name} is down ({failure.cause if failure else 'silent'}): {missing(seen, node)}."
    if state == "suspect":
        return f"{node.name} answers in part: look at its load, then at `doctor`."
    if state == "out":
        return f"{node.name} is out and {'silent: start it; ' if failure else 'answers: '}{_back(seen, node)}."
    return ""


def _back(seen: FleetReport, node: Node) -> str:
    """How it comes back. Only what the processes took out themselves do they take back."""
    if any(held.ejected(node.name) for held in seen.states.values()):
        return f"the processes take it back, or `node up {node.name}` does"
    return f"an operator took it out, and `node up {node.name}` takes it back"


def missing(seen: FleetReport, node: Node) -> str:
    """What to do about a node that does not answer."""
    failure = seen.of(node).failure
    gone = isinstance(failure, NodeUnreachable) and not isinstance(failure, NotGreeted)
    start = "start it" if gone else "look at its machine, or restart it"
    if not seen.proven:
        return start  # Nothing else can be agreed on.
    if seen.serving.replicas > 1:
        return f"{start}; if that takes long, `node down` lets the other copies serve its share"
    return f"{start}; the processes take it out meanwhile (eject_after), and `node remove` gives it up"
