"""dcache-admin warm: fill the cache before anybody asks."""

from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..exit_codes import Exit
from ..options import Choices, Noun, pass_choices

if TYPE_CHECKING:
    from ...warming.registry import Warmer

rate_option = click.option("--max-rate", type=click.FloatRange(1), metavar="KEYS_PER_S", help="No more keys a second.")


@click.group("warm", cls=Noun)
def command() -> None:
    """Fill the cache before anybody asks.

    What with, is said by the warmers in the project's apps (`warmers.py`), which need dcache_manager in INSTALLED_APPS;
    or by a snapshot that `dump` wrote.
    """


def runner_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Who does the runs; the command gets `runner` and `wait`."""

    @click.option(
        "--runner",
        type=click.Choice(["inline", "celery"]),
        default="inline",
        show_default=True,
        help="Who does it: this process, or the region's workers.",
    )
    @click.option("--wait/--no-wait", default=True, help="Return when it is done (default), or once workers are told.")
    @wraps(command)
    def wrapped(*arguments: Any, runner: str, wait: bool, **rest: Any) -> Any:
        if runner == "inline" and not wait:
            raise click.UsageError("--no-wait needs --runner celery")
        return command(*arguments, runner=runner, wait=wait, **rest)

    return wrapped


@command.command("list")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only those that depend on it; may be repeated.")
@pass_choices
def list_(choices: Choices, tags: tuple[str, ...]) -> int:
    """The warmers of the project, and when each was last run."""
    alias = _alias(choices)
    from ...warming import registry
    from ...warming.service import known, known_columns
    from ..output import Answer, write

    items = [known(warmer) for warmer in registry.warmers(tags)]
    title = "" if items else "There are no warmers: none of the installed apps has a warmers.py with one."
    write(Answer("warmers", items, alias=alias, title=title), known_columns, choices)
    return Exit.OK


@command.command("run")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="All that depend on it; may be repeated.")
@click.option("--max-rate", "rate", type=click.FloatRange(0.1), metavar="ITEMS_PER_S", help="No more items a second.")
@click.option("--concurrency", type=click.IntRange(1, 256), metavar="N", help="How many items at a time.")
@runner_options
@pass_choices
def run(
    choices: Choices,
    names: tuple[str, ...],
    tags: tuple[str, ...],
    rate: float | None,
    concurrency: int | None,
    runner: str,
    wait: bool,
) -> int:
    """Run warmers. One that was interrupted goes on where it was.

    Exit 3 if some items failed: they are listed, and `warm retry` repeats them alone.
    """
    alias = _alias(choices)
    from ...warming.runs import begin
    from ...warming.service import drive

    chosen = _chosen(names, tags) if names or tags else []
    if not chosen:
        raise click.UsageError("name a warmer, or a --tag that one has; `warm list` shows them")
    begun = [partial(begin, warmer, rate=rate, concurrency=concurrency) for warmer in chosen]
    return drive(choices, begun, alias, runner, wait)


@command.command("status")
@click.argument("job", required=False)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="The last N runs.")
@pass_choices
def status(choices: Choices, job: str | None, limit: int) -> int:
    """The last runs; or run JOB with what failed in it."""
    alias = _alias(choices)
    from ...warming import runs as jobs
    from ...warming.service import answer, columns, item
    from ..output import Answer, write

    if job:
        return answer(choices, [jobs.named(job)], alias)
    items = [item(run) for run in jobs.runs()[:limit]]
    write(Answer("warm", items, alias=alias, title="" if items else "Nothing was warmed."), columns, choices)
    return Exit.OK


@command.command("retry")
@click.argument("job")
@runner_options
@pass_choices
def retry(choices: Choices, job: str, runner: str, wait: bool) -> int:
    """Repeat what failed in run JOB, and nothing else. One that was interrupted goes on."""
    alias = _alias(choices)
    from ...warming import runs as jobs
    from ...warming.service import drive

    return drive(choices, [partial(jobs.retry, jobs.named(job))], alias, runner, wait)


@command.command("hot")
@click.argument("names", nargs=-1, metavar="[NAME]...")
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
    runner: str,
    wait: bool,
) -> int:
    """After a deploy: load the keys that were read last, as far as warmers (all, or NAME...) know them.

    Lists the keys of all nodes. Exit 3 if a node could not be listed, or some items failed.
    """
    alias = _alias(choices)
    from ...warming.hot import hot
    from ...warming.runs import begin
    from ...warming.service import drive

    chosen = {warmer.name: warmer for warmer in _chosen(names, ()) if warmer.alias == alias}
    if names and len(chosen) < len(names):
        raise click.UsageError(f"not all of these warmers fill cache {alias!r}")
    found = hot(chosen.values(), alias, top, prefix, version)
    choices.note(f"{len(found.names)} hot keys, {found.unknown} of which no warmer yields.")
    for node in found.silent:
        choices.note(f"{node} could not be asked for its keys.")
    begun = [partial(begin, chosen[name], only=items, hot=len(items)) for name, items in found.items.items()]
    more = {"hot": len(found.names), "unknown": found.unknown, "silent": found.silent}
    return max(drive(choices, begun, alias, runner, wait, **more), Exit.PARTIAL if found.silent else Exit.OK)


@command.command("dump")
@click.argument("file", type=click.Path(dir_okay=False, writable=True, path_type=Path), metavar="FILE")
@click.option("--prefix", default="", metavar="PREFIX", help="Only keys that begin so, as the application names them.")
@rate_option
@pass_choices
def dump(choices: Choices, file: Path, prefix: str, max_rate: float | None) -> int:
    """Write what the fleet holds into FILE, a snapshot for `warm load`.

    Exit 3 if a node could not be asked for all of its keys.
    """
    from ...snapshot.console import dump

    return dump(choices, file, prefix, max_rate)


@command.command("load")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE")
@rate_option
@click.option("--restart", is_flag=True, help="From the beginning, although an earlier load was killed on its way.")
@pass_choices
def load(choices: Choices, file: Path, max_rate: float | None, restart: bool) -> int:
    """Store what FILE, a snapshot by `warm dump`, holds and the fleet lacks.

    Goes on where a killed load left off. What is there already stays, and so does what expires when. Exit 3 if
    something could not be stored; the next load tries that again.
    """
    from ...snapshot.console import load

    return load(choices, file, max_rate, restart)


def _chosen(names: tuple[str, ...], tags: tuple[str, ...]) -> "list[Warmer]":
    """Those named and those with one of the tags; all, if nothing is asked for. Raises ConfigurationError."""
    from ...warming import registry

    if not names:
        return registry.warmers(tags)
    found = [registry.find(name) for name in dict.fromkeys(names)]
    return found + [warmer for warmer in registry.warmers(tags) if tags and warmer not in found]


def _alias(choices: Choices) -> str:
    """The alias meant, in a project that is set up and has the tables. Raises ConfigurationError."""
    from django_dcache.errors import ConfigurationError

    from ...inspection.target import find
    from ...jobs.database_journal import installed

    target = find(choices)
    if target.wanted is None or not installed():
        raise ConfigurationError("warming needs --settings of a project with dcache_manager, installed and migrated")
    return target.alias
