"""dcache-admin demo: the whole of it on this machine, while you look."""

import click

from ..options import Choices, Verb, pass_choices

LOOK, GLANCE = 12.0, 5.0  # seconds for each act


@click.command("demo", cls=Verb)
@click.option("--once", is_flag=True, help="Play it once, quickly, and end with a summary; exit 1 if a promise broke.")
@pass_choices
def command(choices: Choices, once: bool) -> int:
    """A site on three nodes, under load: a fourth one joins, one dies.

    Real memcached nodes and gunicorn on free ports of this machine, and the example shop of the checkout. It goes on
    until Ctrl-C, with an address to visit. Everything it started, it ends.
    """
    from ...demo.play import Play
    from ...demo.report import report
    from ...demo.stage import Stage

    with Stage(choices.quiet) as stage:
        play = Play(stage, GLANCE if once else LOOK)
        facts = play.once() if once else play.on_and_on()
    choices.note("")
    return report(facts, choices)
