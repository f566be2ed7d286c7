"""What can be wrong between aliases on the same nodes."""

from itertools import combinations

from ..errors import ConfigurationError
from ..identity import find
from .entry import Entry, Messages


def messages(entries: list[Entry]) -> Messages:
    usable = [entry for entry in entries if entry.configuration]
    for one, other in combinations(usable, 2):
        if one.addresses & other.addresses:
            yield from _conflict(one, other)
            yield from _common_keys(one, other)
            yield from _waits(one, other)


def _conflict(one: Entry, other: Entry) -> Messages:
    try:
        find({one.alias: one.given, other.alias: other.given}, one.given["LOCATION"])
    except ConfigurationError as error:
        said, _, hint = error.detail.partition(". ")
        yield one.error("E005", said, hint)


def _common_keys(one: Entry, other: Entry) -> Messages:
    try:
        shorter, longer = sorted((one.head(), other.head()), key=len)
    except Exception:
        return  # The check of the alias reports it.
    if longer.startswith(shorter):  # Not only the same: with ":1" as its KEY_PREFIX an alias has keys of one without.
        said = f"it shares its keys with cache {other.alias!r}: on the same nodes those of both begin with {shorter!r}"
        yield one.warning("W004", said, "Give each alias a KEY_PREFIX of its own.")


def _waits(one: Entry, other: Entry) -> Messages:
    assert one.configuration and other.configuration
    if one.addresses != other.addresses or one.options.get("fleet") != other.options.get("fleet"):
        return
    for name in ("freshness", "timeout"):
        here, there = (getattr(entry.configuration.options, name) for entry in (one, other) if entry.configuration)
        if here != there:
            said = f"{name} is {here}, and {there} in cache {other.alias!r} of the same fleet"
            yield one.warning("W006", said, "Write the same in both: processes rely on how long the others wait.")
