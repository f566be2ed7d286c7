"""The last word of the demo, on stdout: a line a fact, then all of them as one JSON object."""

import click

from ..cli.exit_codes import Exit
from ..cli.options import Choices
from ..cli.output import Answer, encode
from .results import Results


def report(results: Results, choices: Choices) -> int:
    """Print the results (with --json, only the object). The exit code says whether every promise was kept."""
    if not choices.json:
        for what, how_much in results.lines():
            click.echo(f"{what:15} {how_much}")
    errors = [{"error": "PromiseBroken", "message": promise} for promise in results.broken]
    answer = Answer("demo", results.nodes, errors, "default", results.epochs[1], "stable", more=results.to_json())
    click.echo(encode(answer.envelope()))
    for error in errors:
        click.echo(f"Broken promise: {error['message']}", err=True)
    return Exit.FAILED if errors else Exit.OK
