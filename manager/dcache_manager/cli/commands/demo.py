"""dcache-admin demo: a fleet, a site and a resize on this machine."""

import click

from ..options import Choices, Verb, pass_choices

STEP_SECONDS, QUICK_STEP_SECONDS = 12.0, 5.0
"""For which each step is watched."""


@click.command("demo", cls=Verb)
@click.option("--once", is_flag=True, help="Run it once, quickly, and end with a summary; exit 1 if a promise broke.")
@pass_choices
def command(choices: Choices, once: bool) -> int:
    """A site on three nodes, under load: a fourth one joins, one dies.

    Starts real memcached nodes, the example shop under gunicorn and a Celery worker on free ports of this machine; each
    key has two copies. Where varnishd is installed, it keeps the shop's pages until a change purges them by tag. The
    demo continues until Ctrl-C, with an address to visit, and ends everything it started.
    """
    from ...demo.narration import Narration  # Late: help must not wait for rich.
    from ...demo.report import report
    from ...demo.scenario import Scenario

    with Narration(choices.quiet) as narration:
        scenario = Scenario(narration, QUICK_STEP_SECONDS if once else STEP_SECONDS)
        results = scenario.once() if once else scenario.until_interrupted()
    choices.note("")
    return report(results, choices)
