"""`dcache-admin drill`: on nodes of its own, or on a fleet that is named."""

from ipaddress import ip_address
from pathlib import Path

import click

from dcache_manager.cli.exit_codes import Exit
from dcache_manager.cli.options import Choices, Verb, pass_choices
from dcache_manager.cli.project import find
from dcache_manager.errors import NotConfirmed
from dcache_manager.inspection.target import Target
from django_dcache.errors import ConfigurationError
from django_dcache.model.topology import Node

from . import drill, report
from .faults import HARMLESS, faults_of
from .plan import ENGINES, Plan


@click.command("drill", cls=Verb)
@click.option("--minutes", type=click.FloatRange(0.1, 24 * 60), default=1.0, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Selects what is broken when.")
@click.option(
    "--replicas", type=click.IntRange(1, 9), default=None, help="Copies of each key.  [default: OPTIONS, or 1]"
)
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="memcached",
    show_default=True,
    help="Of nodes of its own.",
)
@click.option("--near", is_flag=True, help="Give each worker a near cache.")
@click.option("--faults", default="", metavar="NAME,…", help="Inject only these faults.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Where the histories and the report go.  [default: a new one]",
)
@pass_choices
def command(
    choices: Choices,
    minutes: float,
    seed: int,
    replicas: int | None,
    engine: str,
    near: bool,
    faults: str,
    folder: Path | None,
) -> int:
    """Break networks, processes and nodes, and check every answer.

    Without --nodes or --settings the drill starts nodes of its own and breaks those too. On a fleet that is named it
    breaks only its own processes and their connections, and touches only keys under the prefix and the fleet name
    "dcache-drill". Exits 1 if a promise was broken.
    """
    named = bool(choices.settings or choices.nodes)
    plan = _on(find(choices)) if named else Plan.on(engine)
    chosen = tuple(filter(None, faults.split(",")))
    known = HARMLESS if named else faults_of(engine)
    if unknown := [name for fault in chosen for name in fault.split("+") if name not in known]:
        raise ConfigurationError(f"no fault {unknown[0]!r} here; choose from {', '.join(known)}")
    if named:
        confirm(choices, find(choices))
    changes = {"seconds": minutes * 60, "seed": seed, "faults": chosen, "near": near}
    changes |= {"replicas": replicas} if replicas else {}
    findings = drill.run(Plan(**{**plan.__dict__, **changes}), folder, choices.note)
    for line in report.verdict(findings):
        click.echo(line)
    return Exit.FAILED if findings.total else Exit.OK


def confirm(choices: Choices, target: Target) -> None:
    """Raises NotConfirmed for a fleet that is not on this machine, unless its alias is typed."""
    foreign = [node.address for node in target.configuration.layout.nodes if not loopback(node)]
    if not foreign:
        return
    choices.note(f"This puts load on {', '.join(foreign)}, and delays and cuts off its own connections to them.")
    # --yes is for scripts; this question is for a person who reads the name.
    try:
        typed = click.prompt(f"Type the alias ({target.alias}) to continue", err=True, default="", show_default=False)
    except click.Abort:
        typed = ""
    if typed != target.alias:
        raise NotConfirmed(f"{target.alias!r} is not on this machine")


def loopback(node: Node) -> bool:
    """Whether a node can only be on this machine."""
    endpoint = node.endpoints[0]
    if isinstance(endpoint, str) or endpoint[0] == "localhost":
        return True
    try:
        return ip_address(endpoint[0]).is_loopback
    except ValueError:
        return False


def _on(target: Target) -> Plan:
    options, layout = target.configuration.options, target.configuration.layout
    if options.tls or any(isinstance(node.endpoints[0], str) for node in layout.nodes):
        raise ConfigurationError("a drill has no networks for TLS or unix sockets yet")
    return Plan(
        location=tuple(node.address for node in layout.nodes),
        replicas=layout.replicas,
        freshness=options.freshness,
        timeout=options.timeout,
    )
