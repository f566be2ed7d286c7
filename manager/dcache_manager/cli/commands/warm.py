"""dcache-admin warm: fill the cache before visitors ask."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from ...errors import NotInstalled
from .. import completion
from ..options import Choices, Noun, pass_choices
from ..project import find, find_installed
from ..runner_options import RunnerOptions

rate_option = click.option(
    "--max-rate", type=click.FloatRange(1), metavar="KEYS_PER_S", help="At most this many keys a second."
)


def tag_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """--tag, which the command gets as `tags`."""
    return click.option("--tag", "tags", multiple=True, metavar="TAG", help=text, shell_complete=completion.tags)


@click.group("warm", cls=Noun)
def command() -> None:
    """Fill the cache before visitors ask.

    Either by the warmers in the project's apps (`warmers.py`), which need dcache_manager in INSTALLED_APPS; or with a
    snapshot that `dump` wrote.
    """


def runner_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Who does the runs; the command gets `options`."""

    @click.option(
        "--runner",
        type=click.Choice(["inline", "celery"]),
        default="inline",
        show_default=True,
        help="Who does it: this process, or the region's workers.",
    )
    @click.option("-A", "--app", metavar="APP", help="With --runner celery: the application, as `celery -A` takes it.")
    @click.option("--wait/--no-wait", default=True, help="Return when it is done (default), or once it was sent.")
    @click.option(
        "--wait-timeout",
        type=click.FloatRange(0),
        metavar="SECONDS",
        help="With --runner celery: stop waiting after this; the run continues (exit 124).",
    )
    @wraps(command)
    def wrapped(
        *arguments: Any, runner: str, app: str | None, wait: bool, wait_timeout: float | None, **rest: Any
    ) -> Any:
        options = RunnerOptions(runner == "celery", app, wait, wait_timeout)
        if not options.celery and (app or not wait or wait_timeout is not None):
            raise click.UsageError("-A, --no-wait and --wait-timeout need --runner celery")
        return command(*arguments, options=options, **rest)

    return wrapped


@command.command("list")
@tag_option("Only those that depend on it. Repeatable.")
@pass_choices
def list_(choices: Choices, tags: tuple[str, ...]) -> int:
    """List the warmers of the project, and when each was last run."""
    alias = _alias(choices)
    from ..actions import warming  # Late: see actions.

    return warming.list_warmers(choices, alias, tags)


@command.command("run")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=completion.warmers)
@tag_option("All that depend on it. Repeatable.")
@click.option(
    "--max-rate", "rate", type=click.FloatRange(0.1), metavar="ITEMS_PER_S", help="At most this many items a second."
)
@click.option("--concurrency", type=click.IntRange(1, 256), metavar="N", help="How many items at a time.")
@runner_options
@pass_choices
def run(
    choices: Choices,
    names: tuple[str, ...],
    tags: tuple[str, ...],
    rate: float | None,
    concurrency: int | None,
    options: RunnerOptions,
) -> int:
    """Run warmers. A run that was interrupted continues where it was.

    Exit 3 if some items failed: they are listed, and `warm retry` repeats them alone.
    """
    alias = _alias(choices)
    from ..actions import warming  # Late: see actions.

    return warming.run(choices, alias, names, tags, rate, concurrency, options)


@command.command("status")
@click.argument("job", required=False, shell_complete=completion.warming_runs)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="The last N runs.")
@pass_choices
def status(choices: Choices, job: str | None, limit: int) -> int:
    """List the last runs; or show run JOB with what failed in it."""
    alias = _alias(choices)
    from ..actions import warming  # Late: see actions.

    return warming.status(choices, alias, job, limit)


@command.command("retry")
@click.argument("job", shell_complete=completion.warming_runs)
@runner_options
@pass_choices
def retry(choices: Choices, job: str, options: RunnerOptions) -> int:
    """Repeat what failed in run JOB, and nothing else. A run that was interrupted continues."""
    alias = _alias(choices)
    from ..actions import warming  # Late: see actions.

    return warming.retry(choices, alias, job, options)


@command.command("hot")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=completion.warmers)
@click.option(
    "--top", type=click.IntRange(1, 10_000), default=1000, show_default=True, metavar="N", help="How many keys."
)
@click.option("--version", type=int, metavar="N", help="VERSION before the deploy; default: today's.")
@click.option("--prefix", metavar="PREFIX", help="KEY_PREFIX before the deploy; default: today's.")
@runner_options
@pass_choices
def hot(
    choices: Choices,
    names: tuple[str, ...],
    top: int,
    version: int | None,
    prefix: str | None,
    options: RunnerOptions,
) -> int:
    """After a deploy, load the keys that were read last, as far as a warmer yields them.

    Of all warmers, or of those named. Lists the keys of all nodes. Exit 3 if a node could not be listed, or some items
    failed.
    """
    alias = _alias(choices)
    from ..actions import warming  # Late: see actions.

    return warming.hot(choices, alias, names, top, version, prefix, options)


@command.command("dump")
@click.argument("file", type=click.Path(dir_okay=False, writable=True, path_type=Path), metavar="FILE")
@click.option(
    "--prefix", default="", metavar="PREFIX", help="Only keys that begin with PREFIX, as the application names them."
)
@rate_option
@pass_choices
def dump(choices: Choices, file: Path, prefix: str, max_rate: float | None) -> int:
    """Write what the fleet holds into FILE, a snapshot for `warm load`.

    Exit 3 if a node could not be asked for all of its keys.
    """
    target = find(choices)
    from ..actions import snapshot  # Late: see actions.

    return snapshot.dump(choices, target, file, prefix, max_rate)


@command.command("load")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE")
@rate_option
@click.option("--restart", is_flag=True, help="Start over even if an earlier load was interrupted.")
@pass_choices
def load(choices: Choices, file: Path, max_rate: float | None, restart: bool) -> int:
    """Store what FILE, a snapshot by `warm dump`, holds and the fleet lacks.

    Existing keys are left alone, and every key keeps its remaining TTL. Resumes a load that was interrupted. Exit 3 if
    some items could not be stored; the next load tries them again.
    """
    target = find(choices)
    from ..actions import snapshot  # Late: see actions.

    return snapshot.load(choices, target, file, max_rate, restart)


def _alias(choices: Choices) -> str:
    """The alias meant, in a project that has the tables. Raises ConfigurationError."""
    target = find_installed(choices)
    from ...jobs.journal import installed  # Late: help must not wait for Django.

    if not installed():
        raise NotInstalled("warming keeps its runs in its tables, which the database lacks")
    return target.alias
