"""What a site does to protect its fleet: signatures, TLS, logins, and a Django without known faults."""

from collections.abc import Iterator

import django

from django_dcache.checks.production import outdated
from django_dcache.engines import engine_of
from django_dcache.model.topology import Node

from ..inspection.fleet_report import FleetReport
from .finding import Finding


def findings(seen: FleetReport) -> Iterator[Finding]:
    """About the whole fleet, by what was seen of it."""
    for check in (_refused, _signing, _logins, _django):
        yield from check(seen)


def _refused(seen: FleetReport) -> Iterator[Finding]:
    for name, error in seen.refused.items():
        detail = f"what it holds is not believed: {error.detail or error}"
        yield Finding("state", name, "fail", detail, "find out who wrote it, then `state repair` this node")


def _signing(seen: FleetReport) -> Iterator[Finding]:
    options = seen.configuration.options
    if not options.secrets:
        yield Finding("signed state", None, "warn", "no secret at hand: signatures were not checked", "give --settings")
    elif options.sign_state != "required":
        detail = f"sign_state is {options.sign_state!r}: one write to a node can redirect the fleet"
        yield Finding("signed state", None, "warn", detail, "remove it when no older process is left")
    else:
        yield Finding("signed state", None, "ok", "no other is believed")


def _logins(seen: FleetReport) -> Iterator[Finding]:
    """A login that nodes do not want protects nothing, and one that is sent in plain is no secret."""
    options = seen.configuration.options
    if options.password is None:
        return
    wants = [node for node in seen.topology.nodes.values() if _memcached(node) and not node.out]
    open_ = [node.name for node in wants if seen.of(node).reply.settings.get("auth_enabled_ascii") == "no"]
    if open_:
        fix = "start them with -Y and a file of logins"
        yield Finding("login", None, "fail", f"{', '.join(open_)} serve clients without a login too", fix)
    elif options.tls is None:
        yield Finding("login", None, "warn", "it is sent in plain", "give OPTIONS a 'tls' context")
    else:
        yield Finding("login", None, "ok", "wanted by every node, and sent over TLS")


def _memcached(node: Node) -> bool:
    return engine_of(node).name == "memcached"


def _django(seen: FleetReport) -> Iterator[Finding]:
    for warning in outdated(django.VERSION):
        yield Finding("Django", None, "warn", str(warning.msg), str(warning.hint))
