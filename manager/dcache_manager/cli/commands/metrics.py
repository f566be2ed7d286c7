"""dcache-admin metrics"""

import click

from ..options import Choices, Verb, pass_choices
from ..project import find


@click.command("metrics", cls=Verb)
@pass_choices
def command(choices: Choices) -> int:
    """Print what nodes and jobs say of themselves, as Prometheus reads it.

    For the textfile collector of node_exporter: let a timer write it to a file. Exits with 3 if a node does not answer.
    What the processes of the site measure, django_dcache.metrics shows.
    """
    target = find(choices)
    from ..actions import looking  # Late: see actions.

    return looking.metrics(choices, target)
