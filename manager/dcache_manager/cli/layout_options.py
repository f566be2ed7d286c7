"""The options of commands that change the layout of a fleet, or plan to."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from . import completion


@dataclass(frozen=True, slots=True)
class LayoutOptions:
    """What was typed: a LayoutChange before it is one, which would need Django."""

    add: tuple[str, ...]
    remove: tuple[str, ...]
    weights: dict[str, int]
    replicas: int | None
    ring: str | None


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a resize is to be done."""

    dry_run: bool = False
    max_rate: float | None = None
    wait: bool = True
    wait_timeout: float | None = None
    expect_epoch: int | None = None
    runner: str = "inline"
    app: str | None = None
    """The Celery application, as `celery -A` takes it."""


def layout_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--add, --remove, --weight, --replicas and --ring, which the command gets as `layout`."""

    @click.option("--add", multiple=True, metavar="[NAME=]HOST:PORT", help="A node that joins. Repeatable.")
    @click.option(
        "--remove",
        multiple=True,
        metavar="NODE",
        help="A node that leaves, by name or address. Repeatable.",
        shell_complete=completion.nodes,
    )
    @click.option(
        "--weight",
        "weights",
        multiple=True,
        metavar="NODE=W",
        help="A node's new weight. Repeatable.",
        shell_complete=completion.weights,
    )
    @click.option("--replicas", type=click.IntRange(1, 9), metavar="N", help="How many nodes hold each key.")
    @click.option("--ring", metavar="MODE", help="How keys are placed, for instance ketama.")
    @wraps(command)
    def wrapped(*arguments: Any, add: Any, remove: Any, weights: Any, replicas: Any, ring: Any, **rest: Any) -> Any:
        layout = LayoutOptions(add, remove, dict(map(parse_weight, weights)), replicas, ring)
        return command(*arguments, layout=layout, **rest)

    return wrapped


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of commands that start a resize, which they get as `options`."""

    @click.option("--dry-run", is_flag=True, help="Show the plan, and change nothing.")
    @click.option(
        "--max-rate", type=click.FloatRange(1), metavar="KEYS_PER_S", help="Move at most this many keys a second."
    )
    @click.option("--wait/--no-wait", default=True, help="Return when it is done (default), or once it has begun.")
    @click.option(
        "--wait-timeout", type=float, metavar="SECONDS", help="Stop waiting after this; the job continues (exit 124)."
    )
    @click.option("--expect-epoch", type=int, metavar="N", help="Refuse if the fleet is in another epoch (exit 5).")
    @click.option(
        "--runner",
        type=click.Choice(["inline", "celery"]),
        default="inline",
        show_default=True,
        help="Who does it: this command, or Celery workers.",
    )
    @click.option("-A", "--app", metavar="APP", help="With --runner celery: the application, as `celery -A` takes it.")
    @wraps(command)
    def wrapped(
        *arguments: Any,
        dry_run: bool,
        max_rate: float | None,
        wait: bool,
        wait_timeout: float | None,
        expect_epoch: int | None,
        runner: str,
        app: str | None,
        **rest: Any,
    ) -> Any:
        options = RunOptions(dry_run, max_rate, wait, wait_timeout, expect_epoch, runner, app)
        return command(*arguments, options=options, **rest)

    return wrapped


def parse_weight(entry: str) -> tuple[str, int]:
    """NODE=W as (node, weight). Raises UsageError."""
    node, _, number = entry.rpartition("=")
    if not node or not number.isdecimal():
        raise click.UsageError(f"--weight {entry}: want NODE=W, for instance cache1=2")
    return node, int(number)
