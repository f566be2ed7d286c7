"""What a message to a worker may say. A broker is hostile input: what is of another type, size or form is dropped.

A message names a row, and the row says what is to be done; so there is little to check, and nothing to be trusted.
"""

import functools
import inspect
import logging
import re
from collections.abc import Callable
from typing import Any

from ..settings import own_queue, queue, regions

log = logging.getLogger("dcache_manager")

MAX_NAME_LENGTH = 200
MAX_NUMBER = 2**63 - 1
MAX_ARGUMENTS_LENGTH = 10_000
Check = Callable[[Any], bool]
_answers = re.compile(r"dcache\.answers\.[0-9a-f]{16}").fullmatch


def number(given: Any) -> bool:
    """Of a row."""
    return type(given) is int and 0 < given <= MAX_NUMBER


def up_to(most: int) -> Check:
    """A count."""
    return lambda given: type(given) is int and 0 <= given <= most


def name(given: Any) -> bool:
    """Of a job, or of a warmer."""
    return isinstance(given, str) and 0 < len(given) <= MAX_NAME_LENGTH and given.isprintable()


def name_or_none(given: Any) -> bool:
    return given is None or name(given)


def plain_list(given: Any) -> bool:
    """Arguments of a function of the site."""
    return isinstance(given, list) and sum(len(str(each)) for each in given) <= MAX_ARGUMENTS_LENGTH


def plain_dict(given: Any) -> bool:
    """The same by name."""
    return isinstance(given, dict) and plain_list([*given, *given.values()]) and all(map(name, given))


def answer_queue(given: Any) -> bool:
    """One that `doctor` made for the answers: nothing else is published to because a message says so."""
    return isinstance(given, str) and bool(_answers(given))


def known_queue(given: Any) -> bool:
    """That of a region in the settings."""
    known = regions()
    return given in [own_queue(), *map(queue, known.everywhere if known else ())]


def checked(**checks: Check) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The body of a task, which is run only with arguments that pass the checks of their names."""

    def decorate(body: Callable[..., None]) -> Callable[..., None]:
        bind = inspect.signature(body).bind

        @functools.wraps(body)
        def run(*arguments: Any, **named: Any) -> None:
            try:
                given = bind(*arguments, **named).arguments
            except TypeError:
                given = None
            if given is None or not all(check(given[name]) for name, check in checks.items() if name in given):
                # Without the arguments: they may be long, and may be meant for the eyes of an operator.
                words = "A message to dcache.%s was dropped: we send none with such arguments."
                log.warning(
                    words, body.__name__, extra={"action": "message_dropped", "task": f"dcache.{body.__name__}"}
                )
                return
            body(*arguments, **named)

        return run

    return decorate
