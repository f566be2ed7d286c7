"""Who can reach a memcached node, by its own words, and what is known of its release. Pure."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

from ..inspection import Check, NodeReply
from .introspection import version_numbers

EVERYWHERE = ("NULL", "0.0.0.0", "::", "*")  # nosec B104
"""What nodes say of where they listen."""


_LOGINS = "auth_enabled_ascii"


class Hole(NamedTuple):
    """A known fault that an attacker can use."""

    since: tuple[int, int, int]
    mended: tuple[int, int, int]
    known: str
    """The day on which it became known."""
    what: str
    setting: str = ""
    """The setting that a node must have turned on for it to matter; empty: it always does."""


HOLES = (
    Hole((1, 6, 0), (1, 6, 22), "2023-10-27", "overflows in the proxy (CVE-2023-46852, -46853)", "proxy_enabled"),
    Hole((1, 6, 0), (1, 6, 42), "2026-05-18", "corrupted memory and crashes, by any client that reaches it"),
    Hole((1, 6, 41), (1, 6, 44), "2026-09-14", "a read out of bounds at logins (CVE-2026-90698)", "auth_enabled_ascii"),
)
"""As of November 2026. The first release that is supported is 1.6.18."""


def checks(reply: NodeReply) -> Iterator[Check]:
    for check in (_holes, _reach):
        yield from check(reply)


def _holes(reply: NodeReply) -> Iterator[Check]:
    version = version_numbers(reply.version)
    if version is None:
        return
    open_ = [
        hole
        for hole in HOLES
        if hole.since <= version < hole.mended and (not hole.setting or reply.settings.get(hole.setting) == "yes")
    ]
    if open_:
        detail = "; ".join(f"{hole.what}, known since {hole.known}" for hole in open_)
        newest = ".".join(map(str, max(hole.mended for hole in open_)))
        fix = f"upgrade to {newest}, unless your distribution has mended its {reply.version}; let no stranger reach it"
        yield Check("known holes", "warn", detail, fix)
    else:
        yield Check("known holes", "ok", "none")


def _reach(reply: NodeReply) -> Iterator[Check]:
    """Where it listens, and whether it asks for a login there."""
    listens = reply.settings.get("inter")
    if listens is None or reply.settings.get("domain_socket", "NULL") not in ("NULL", ""):
        return
    logs_in = reply.settings.get(_LOGINS) == "yes"
    strange = [place for place in listens.split(",") if _open(place)]
    if strange and not logs_in:
        where = "every interface" if any(place in EVERYWHERE for place in strange) else ", ".join(strange)
        fix = "start it with -l and a private address, behind a firewall, or with -Y and a file of logins"
        yield Check("reach", "warn", f"it listens on {where}, and wants no login", fix)
    else:
        yield Check("reach", "ok", f"it listens on {listens}{', and wants a login' if logs_in else ''}")


def _open(place: str) -> bool:
    host = place.removeprefix("notls:").rpartition(":")[0] or place
    try:
        return place in EVERYWHERE or ip_address(host.strip("[]")).is_global
    except ValueError:
        return False  # A name.
