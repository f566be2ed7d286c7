"""Whose fleet it is: marks in the fleet state by which a project knows its own, and is told from others
(docs/adr/0022-whose-fleet-it-is.md)."""

from collections.abc import Iterable, Set
from typing import NamedTuple

OWNER, PLACE, USER = "@", "*", "+"
"""What marks begin with: of a SECRET_KEY, of a LOCATION, of what uses it. No node's name does."""
MAX_SITES = 16
"""Marks of each kind that are kept, the newest."""


class Owner(NamedTuple):
    """What a project's settings say of it: marks made with its SECRET_KEY, then with those it had."""

    keys: tuple[str, ...] = ()
    """Of nothing but the key. Empty: no project owns the fleet."""
    places: tuple[str, ...] = ()
    """Of its LOCATION."""
    users: tuple[str, ...] = ()
    """Of its database, or of its key prefixes if it has none; empty if it has neither."""
    names: tuple[str, ...] = ()
    """By which other names the fleet would be known, if other aliases on its nodes were not there."""

    def present(self) -> tuple[str, ...]:
        """What a fleet is marked with that belongs to this project and site."""
        return (*self.keys[:1], *self.places[:1], *self.users[:1])

    def strange(self, marks: Set[str], name: str) -> str:
        """Why a fleet called `name` with these marks is not this project's; empty if it is."""
        keys = {mark for mark in marks if mark.startswith(OWNER)}
        if self.keys and keys and keys.isdisjoint(self.keys):
            return (
                'it belongs to another SECRET_KEY. Give this one a name of its own as OPTIONS["fleet"], or the same '
                "name in both to share it; a SECRET_KEY that was changed belongs into SECRET_KEY_FALLBACKS"
            )
        users = {mark for mark in marks if mark.startswith(USER)}
        if self.users and users and users.isdisjoint(self.users) and self.places and marks.isdisjoint(self.places):
            return (
                "it knows neither this LOCATION nor this database. If this is another site, give it a name of its own "
                f'as OPTIONS["fleet"]; if it is the same, confirm it by OPTIONS["fleet"] = {name!r}'
            )
        return ""


def oldest_sites(marks: Iterable[tuple[str, int]]) -> set[str]:
    """Those of the (mark, when it was made) that are too many."""
    made = sorted((when, mark) for mark, when in marks if mark.startswith((PLACE, USER)))
    return {mark for kind in (PLACE, USER) for mark in [mark for _, mark in made if mark.startswith(kind)][:-MAX_SITES]}
