"""Progress for people, on stderr: one bar on a terminal, one line every ten seconds and at each phase elsewhere."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Protocol, Self

import click

from ..formatting import count, printable, size, span
from ..jobs.progress import Progress
from .options import Choices

LINE_SECONDS = 10.0
"""Between two lines."""


class Reporter(Protocol):
    """Takes reports while its `with` block runs."""

    def __call__(self, progress: Progress) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: Any, error: BaseException | None, traceback: TracebackType | None) -> None: ...


def describe(progress: Progress) -> str:
    """A report in one line."""
    over = progress.state in ("done", "cancelled", "failed")
    parts = [f"{progress.state}: epoch {progress.epoch}, {progress.phase}"]
    if progress.listed and not over:
        parts.append(f"{progress.done / progress.listed:.0%}")
    if progress.moved or over:
        parts.append(f"{count(progress.moved)} keys moved ({size(progress.bytes)}) at {count(progress.rate)} keys/s")
    if progress.eta and not over:
        parts.append(f"ETA {span(progress.eta)}")
    if progress.failed:
        parts.append(f"{count(progress.failed)} failed")
    if progress.doing and progress.state != "done":
        parts.append(progress.doing)
    return printable(", ".join(parts))


def reporter(choices: Choices, words: Callable[[Progress], str] = describe) -> Reporter:
    """The one for this terminal, or for none. `words` puts a report into one line."""
    if choices.quiet:
        return Silence()
    return Bar(words) if sys.stderr.isatty() else Lines(words=words)


class Silence:
    def __call__(self, progress: Progress) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: TracebackType | None) -> None:
        pass


class Lines(Silence):
    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        say: Callable[[str], None] | None = None,
        words: Callable[[Progress], str] = describe,
    ):
        self._clock, self._say, self._words = clock, say or (lambda text: click.echo(text, err=True)), words
        self._next, self._seen = float("-inf"), ("", "")

    def __call__(self, progress: Progress) -> None:
        seen = progress.phase, progress.state
        if seen != self._seen or self._clock() >= self._next:
            self._seen, self._next = seen, self._clock() + LINE_SECONDS
            self._say(self._words(progress))


def _stream_handlers() -> Iterator["logging.StreamHandler[Any]"]:
    """Of all loggers that there are."""
    loggers = [logging.root, *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    handlers = {id(handler): handler for logger in loggers for handler in logger.handlers}
    for handler in handlers.values():
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            yield handler


class Bar(Silence):
    def __init__(self, words: Callable[[Progress], str] = describe) -> None:
        from rich.console import Console  # Late: only a terminal has a bar.
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        text = TextColumn("{task.description}", markup=False)
        self._bars = Bars(BarColumn(bar_width=24), text, console=Console(stderr=True), transient=True)
        self._words = words
        self._handlers: list[logging.StreamHandler[Any]] = []
        self._task = self._bars.add_task("…", total=None)

    def __enter__(self) -> Self:
        before = sys.stderr
        self._bars.start()  # From here on sys.stderr prints above the bar.
        # A project's logging holds the terminal itself, and would write into the bar.
        self._handlers = [handler for handler in _stream_handlers() if handler.stream is before]
        for handler in self._handlers:
            handler.setStream(sys.stderr)
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()
        for handler in self._handlers:
            handler.setStream(sys.stderr)

    def __call__(self, progress: Progress) -> None:
        total = progress.listed or None
        self._bars.update(self._task, description=self._words(progress), total=total, completed=progress.done)
