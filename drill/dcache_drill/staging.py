"""A drill on somebody's fleet, or on nodes of its own: what `dcache-admin drill` does."""

from ipaddress import ip_address
from pathlib import Path

import click

from dcache_manager.cli.exit_codes import Exit, NotConfirmed
from dcache_manager.cli.options import Choices
from dcache_manager.inspection.target import Target, find
from django_dcache.errors import ConfigurationError
from django_dcache.model.topology import Node

from . import drill as drills
from . import report
from .faults import FAULTS, HARMLESS
from .terms import Terms


def drill(
    choices: Choices, seconds: float, seed: int, replicas: int | None, faults: tuple[str, ...], folder: Path | None
) -> int:
    """The exit code. Raises ConfigurationError, NotConfirmed."""
    named = choices.settings or choices.nodes
    terms = _on(find(choices)) if named else Terms()
    known = HARMLESS if named else tuple(FAULTS)
    if unknown := [name for fault in faults for name in fault.split("+") if name not in known]:
        raise ConfigurationError(f"no fault {unknown[0]!r} here; there are {', '.join(known)}")
    if named:
        confirm(choices, find(choices))
    changes = {"seconds": seconds, "seed": seed, "faults": faults} | ({"replicas": replicas} if replicas else {})
    findings = drills.run(Terms(**{**terms.__dict__, **changes}), folder, choices.note)
    for phase, tally in zip(findings.phases, findings.tallies, strict=False):
        click.echo(report.line(phase, tally, findings.began))
    for line in (*report.summary(findings), f"report: {findings.folder / drills.REPORT}"):
        click.echo(line)
    return Exit.FAILED if findings.total else Exit.OK


def confirm(choices: Choices, target: Target) -> None:
    """Raises NotConfirmed for a fleet that is not on this machine, unless its alias is typed."""
    foreign = [node.address for node in target.configuration.layout.nodes if not loopback(node)]
    if not foreign:
        return
    choices.note(f"This puts load on {', '.join(foreign)}, and delays and cuts off its own connections to them.")
    # --yes is for scripts that mean well; this is for a person who looks at the name.
    try:
        typed = click.prompt(f"Type the alias ({target.alias}) to go on", err=True, default="", show_default=False)
    except click.Abort:
        typed = ""
    if typed != target.alias:
        raise NotConfirmed(f"{target.alias!r} is not on this machine")


def loopback(node: Node) -> bool:
    """Whether a node can only be on this machine."""
    endpoint = node.endpoint
    if isinstance(endpoint, str) or endpoint[0] == "localhost":
        return True
    try:
        return ip_address(endpoint[0]).is_loopback
    except ValueError:
        return False


def _on(target: Target) -> Terms:
    options, layout = target.configuration.options, target.configuration.layout
    if options.tls or any(isinstance(node.endpoint, str) for node in layout.nodes):
        raise ConfigurationError("a drill has no networks for TLS or unix sockets yet")
    return Terms(
        location=tuple(node.address for node in layout.nodes),
        replicas=layout.replicas,
        freshness=options.freshness,
        timeout=options.timeout,
    )
