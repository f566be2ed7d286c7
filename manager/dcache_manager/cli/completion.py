"""What a shell offers for words that only the project or the fleet knows: aliases, nodes, jobs, warmers, tags.

A shell waits while it asks: each look has a deadline, and whatever goes wrong there is nothing to offer, and no word of
it on the command line.
"""

import os
import queue
import threading
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout, suppress

import click
from click.shell_completion import CompletionItem

from ..formatting import printable
from .options import Choices

DEADLINE_SECONDS = 4.0
"""For loading the project and asking what it takes."""
LOOK_SECONDS = 1.0
"""Of these, for the nodes."""
MOST_JOBS = 50

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
Words = Iterable[tuple[str, str]]
"""Each with a word of help."""


def _offers(find: Callable[[Choices], Words]) -> Complete:
    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        found = _within_deadline(find, context.find_root().ensure_object(Choices))
        return [
            CompletionItem(printable(word), help=printable(text)) for word, text in found if word.startswith(incomplete)
        ]

    return complete


def _within_deadline(find: Callable[[Choices], Words], choices: Choices) -> list[tuple[str, str]]:
    came: queue.SimpleQueue[list[tuple[str, str]]] = queue.SimpleQueue()

    def ask() -> None:
        with suppress(BaseException):  # A project's settings may even exit.
            came.put(list(find(choices)))

    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        # A daemon: a name server that does not answer can't be interrupted.
        threading.Thread(target=ask, daemon=True).start()
        with suppress(queue.Empty):
            return came.get(timeout=DEADLINE_SECONDS)
    return []


def _aliases(choices: Choices) -> Words:
    from .project import set_up  # Late: completing a command's name must not wait for Django.

    set_up(choices.settings or "", choices.pythonpath)
    from django.conf import settings  # Late, as above.

    from django_dcache.identity import is_ours

    return [(alias, "") for alias, entry in settings.CACHES.items() if is_ours(entry)]


def _nodes(choices: Choices) -> Words:
    from ..errors import NothingReachable  # Late, as above.
    from .project import find  # Late, as above.

    target = find(choices)
    from ..inspection.fleet_report import look  # Late, as above.

    try:
        seen = look(target, LOOK_SECONDS)
    except NothingReachable:
        return [(node.name, "down") for node in target.configuration.layout.nodes]
    return [(node.name, seen.standing(node)) for node in seen.topology.nodes.values()]


def _weights(choices: Choices) -> Words:
    return [(f"{name}=", text) for name, text in _nodes(choices)]


def _jobs(choices: Choices) -> Words:
    from .project import find  # Late, as above.

    target = find(choices)
    from ..jobs.history import jobs  # Late, as above.

    return [(job["job"], f"{job['state']} {job.get('what', '')}") for job in jobs(target.name)[:MOST_JOBS]]


def _runs(choices: Choices) -> Words:
    from .project import find_installed  # Late, as above.

    find_installed(choices)
    from ..warming import runs  # Late, as above.

    return [(job.name, f"{job.state} {job.terms['warmer']}") for job in runs.runs()[:MOST_JOBS]]


def _warmers(choices: Choices) -> Words:
    from .project import find_installed  # Late, as above.

    find_installed(choices)
    from ..warming.registry import warmers  # Late, as above.

    return [(warmer.name, warmer.place) for warmer in warmers()]


def _tags(choices: Choices) -> Words:
    from .project import find_installed  # Late, as above.

    find_installed(choices)
    from ..warming.registry import warmers  # Late, as above.

    return [(tag, "") for tag in sorted({tag for warmer in warmers() for tag in warmer.tags})]


aliases, nodes, weights = _offers(_aliases), _offers(_nodes), _offers(_weights)
jobs, warming_runs, warmers, tags = _offers(_jobs), _offers(_runs), _offers(_warmers), _offers(_tags)
