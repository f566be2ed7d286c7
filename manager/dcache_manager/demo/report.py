"""The last word of the demo, on stdout: a line a fact, then all of them as one JSON object."""

import click

from ..cli.exit_codes import Exit
from ..cli.options import Choices
from ..cli.output import Answer, encode
from .facts import Facts


def report(facts: Facts, choices: Choices) -> int:
    """Print the facts (with --json, only the object). The exit code says whether every promise was kept."""
    if not choices.json:
        for what, how_much in facts.lines():
            click.echo(f"{what:15} {how_much}")
    errors = [{"error": "PromiseBroken", "message": promise} for promise in facts.broken]
    answer = Answer("demo", facts.nodes, errors, "default", facts.epochs[1], "stable", more=facts.to_json())
    click.echo(encode(answer.envelope()))
    for error in errors:
        click.echo(f"Broken promise: {error['message']}", err=True)
    return Exit.FAILED if errors else Exit.OK
