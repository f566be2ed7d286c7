"""What an operator should do now, by what a look at the fleet found."""

from .fleet_report import FleetReport


def next_steps(seen: FleetReport) -> list[str]:
    """A sentence each; none where all is well."""
    steps = [] if seen.planted else ["No node knows this fleet: no process has used it yet, or -c names another one."]
    if seen.planted and not seen.proven:
        steps.append("No majority of the keepers holds this epoch: bring the silent ones back; `doctor` names them.")
    for node in seen.topology.nodes.values():
        state, failure = seen.standing(node), seen.of(node).failure
        if state == "down":
            steps.append(f"{node.name} is down ({failure.cause if failure else 'silent'}): {missing(seen)}.")
        elif state == "suspect":
            steps.append(f"{node.name} answers in part: look at its load, then at `doctor`.")
        elif state == "out" and failure:
            steps.append(f"{node.name} is out and silent: start it; the processes take it back, or `node up` does.")
        elif state == "out":
            steps.append(f"{node.name} is out and answers: the processes take it back, or `node up {node.name}` does.")
    if seen.topology.target:
        by = f"led by {seen.conductor}: `rebalance watch` shows it" if seen.conductor else ""
        interrupted = "interrupted: `rebalance resume` finishes it, `rebalance cancel` goes back"
        steps.append(f"A resize is in phase {seen.topology.phase}, {by or interrupted}.")
    return steps


def missing(seen: FleetReport) -> str:
    """What to do about a node that does not answer."""
    if seen.serving.replicas > 1:
        return "start it; if that takes long, `node down` lets the other copies serve its share"
    return "start it; the processes take it out meanwhile (eject_after), and `node remove` gives it up"
