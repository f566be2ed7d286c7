"""What can be wrong with one alias."""

from difflib import get_close_matches
from typing import Any

from ..conf import KNOWN, Options, parse, plain_options, unknown
from ..errors import ConfigurationError, InvalidKey
from ..foreign_options import advice
from ..model import keys
from ..values import codec_for
from ..values.classic import REDIS
from .entry import Entry, Messages

DJANGO_KEYS = ("BACKEND", "LOCATION", "TIMEOUT", "KEY_PREFIX", "VERSION", "KEY_FUNCTION", "OPTIONS")
MOST_SECONDS = {"timeout": 5, "connect_timeout": 5, "freshness": 30, "request_budget": 60}
"""A larger number was probably meant to be milliseconds."""


def messages(entry: Entry) -> Messages:
    yield from _names(entry)
    yield from _values(entry)
    yield from _location(entry)
    yield from _keys(entry)
    yield from _beside_options(entry)
    if entry.configuration:
        yield from _doubts(entry, entry.configuration.options)


def _names(entry: Entry) -> Messages:
    try:
        plain_options(entry.given.get("OPTIONS"))
    except ConfigurationError as error:
        yield entry.error("E003", error.detail, 'Write OPTIONS as a dictionary, such as {"replicas": 2}.')
    for name in entry.options:
        if hint := unknown(name):
            identity = "E002" if advice(str(name)) else "E001"
            yield entry.error(identity, f"OPTIONS has no {name!r}", f"{hint[0].upper()}{hint[1:]}")


def _values(entry: Entry) -> Messages:
    """Each option is tried with those that are well, since some go together."""
    known = {name: value for name, value in entry.options.items() if name in KNOWN}
    alone = {name for name in known if _complaint(entry, {name: known[name]})}
    well = {name: value for name, value in known.items() if name not in alone}
    said = {name: _complaint(entry, well | {name: known[name]}) for name in known if name in alone}
    for name, complaint in said.items():
        if complaint:
            default = getattr(_DEFAULTS, name)
            yield entry.error("E003", complaint, f"Leave {name!r} out for its default, {default!r}.")
    if not any(said.values()) and (complaint := _complaint(entry, known)):
        yield entry.error("E003", complaint, "These options do not go together, or the alias can't name a fleet.")


def _complaint(entry: Entry, options: dict[str, Any]) -> str:
    try:
        location = "redis://localhost" if options.get("coexist") in REDIS else "localhost"
        parsed = parse(entry.alias, location, options).options
        codec_for(parsed, "check", lambda: parsed.secrets)
    except ConfigurationError as error:
        return error.detail.removeprefix(_named(entry))
    return ""


def _named(entry: Entry) -> str:
    return f"alias {entry.alias!r}: "


def _location(entry: Entry) -> Messages:
    location = entry.given.get("LOCATION")
    try:
        parse(entry.alias, location, {"fleet": "check"})
    except ConfigurationError as error:
        said = error.detail.removeprefix(_named(entry))
        yield entry.error("E004", f"LOCATION can't be used: {said}", _location_hint(location))


def _location_hint(location: Any) -> str:
    if not location:
        return 'Name the nodes: ["cache-1:11211", …]. Does it come from an environment variable that is empty?'
    if "://" in str(location):
        return "Write host:port for memcached, and redis://host:port/database for Redis or Valkey."
    if isinstance(location, str) and len(location.split()) > 1:
        return "Put a comma between addresses."
    return 'An entry is "host:port", the path of a socket, or {"address": …, "name": …, "weight": …, "zone": …}.'


def _keys(entry: Entry) -> Messages:
    try:
        keys.name(entry.key())
    except InvalidKey:
        prefix = entry.given.get("KEY_PREFIX", "")
        hint = "A prefix has no spaces and no control characters, and leaves room for the key: 250 bytes in all."
        yield entry.error("E006", f"no key is legal with the KEY_PREFIX {prefix!r}", hint)
    except Exception as error:  # The site's own function, of which nothing is known.
        said = f"its KEY_FUNCTION makes no key: {type(error).__name__}: {error}"
        yield entry.error("E006", said, "It takes a key, KEY_PREFIX and VERSION, and returns text.")


def _beside_options(entry: Entry) -> Messages:
    for name in sorted(entry.given.keys() - set(DJANGO_KEYS), key=str):
        lower = str(name).lower()
        if lower in KNOWN:
            yield entry.error("E007", f"{name!r} has no effect beside OPTIONS", f"Move it: OPTIONS {{{lower!r}: …}}.")
        elif lower not in ("max_entries", "cull_frequency"):
            close = get_close_matches(str(name).upper(), DJANGO_KEYS, 1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Django knows {', '.join(DJANGO_KEYS)}."
            yield entry.warning("W008", f"{name!r} has no effect", hint)


def _doubts(entry: Entry, options: Options) -> Messages:
    """What can be used, and was hardly meant so."""
    assert entry.configuration
    layout = entry.configuration.layout
    if layout.replicas > len(layout.nodes):
        hint = f"Name more nodes in LOCATION, or write 'replicas': {len(layout.nodes)}."
        nodes = len(layout.nodes)
        said = f"replicas is {layout.replicas}, but LOCATION names {nodes} node(s): each key has {nodes} copies at most"
        yield entry.warning("W001", said, hint)
    for name, most in MOST_SECONDS.items():
        if (seconds := getattr(options, name)) > most:
            hint = f"Options are in seconds: {seconds} milliseconds are {seconds / 1000:g}."
            yield entry.warning("W002", f"{name} is {seconds} seconds", hint)
    if options.freshness <= options.timeout <= MOST_SECONDS["timeout"]:
        # What proves the view waits for half of it, and so does a write, before either does without that node.
        said = f"timeout is {options.timeout:g} seconds and freshness {options.freshness:g}"
        said = f"{said}: while a node hangs, writes fail"
        yield entry.warning("W007", said, f"Write a 'timeout' below {options.freshness:g}, or a longer 'freshness'.")
    zones = sorted({node.zone for node in layout.nodes if node.zone})
    if options.zone and options.zone not in zones:
        hint = f"The nodes' zones are {', '.join(zones)}." if zones else 'Give nodes a "zone" in LOCATION.'
        yield entry.warning("W003", f"no node is in the zone of this process, {options.zone!r}", hint)
    if layout.replicas == 1 and not (options.eject_after and options.max_ejected):
        said = "with replicas = 1 and without eject_after a lost node's share of the keys is not cached"
        yield entry.warning("W005", said, "Leave 'eject_after' out, write 'replicas': 2, or run `autopilot`.")


_DEFAULTS = Options()
