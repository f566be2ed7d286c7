"""Keys with places for what a request brings along: its URL's arguments, its session, its user.

A template is a tuple of texts: every second one is the name of a variable, the others are as they are in the key.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Protocol

Template = tuple[str, ...]
MOST_CANDIDATES = 8
"""Of one key: which of its numbers is the URL's, the next requests show."""
LEAST_UNMISTAKABLE = 8
"""A value of that many characters that stands in a key is no coincidence, whatever is beside it."""
_digest = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{32}(?![0-9A-Za-z])").search


class Values(Protocol):
    """What one request brings along, by the name of the variable."""

    def get(self, name: str, /) -> str | None: ...

    def plain(self) -> Mapping[str, str]:
        """Those that may stand in a key as they are."""
        ...

    def digests(self) -> Mapping[str, str]:
        """Those of which a digest may."""
        ...


def fill(template: Template, values: Values) -> str | None:
    """The key; None if the request lacks a variable."""
    if len(template) == 1:
        return template[0]
    parts = list(template)
    for number in range(1, len(parts), 2):
        value = values.get(parts[number])
        if value is None:
            return None
        parts[number] = value
    return "".join(parts)


def candidates(key: str, values: Values, head: str = "") -> list[Template]:
    """The templates that may have made `key`, the one with most variables first. `head`: what every key begins with."""
    begin = len(head) if key.startswith(head) else 0
    named = dict(values.plain())
    if _digest(key):
        named |= values.digests()
    found: dict[int, list[tuple[int, str]]] = {}
    for name, value in named.items():
        for start in _places(key, value, begin):
            found.setdefault(start, []).append((start + len(value), name))
    return list(islice(_combined(key, 0, sorted(found.items()), ""), MOST_CANDIDATES))


def _places(key: str, value: str, begin: int) -> Iterable[int]:
    start = key.find(value, begin) if value else -1
    while start >= 0:
        end = start + len(value)
        if len(value) >= LEAST_UNMISTAKABLE or not (key[start - 1 : start].isalnum() or key[end : end + 1].isalnum()):
            yield start
        start = key.find(value, end)


def _combined(key: str, at: int, places: list[tuple[int, list[tuple[int, str]]]], text: str) -> Iterable[Template]:
    """Each way to read the rest of the key, from `at` on; `text`: what precedes it since the last variable."""
    for number, (start, names) in enumerate(places):
        if start >= at:
            for end, name in sorted(names, reverse=True):
                for rest in _combined(key, end, places[number + 1 :], ""):
                    yield (text + key[at:start], name, *rest)
            for rest in _combined(key, start, places[number + 1 :], text + key[at:start]):
                if not any(end - start >= LEAST_UNMISTAKABLE for end, _ in names):
                    yield rest
            return
    yield (text + key[at:],)
