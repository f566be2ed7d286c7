"""What DCACHE["EDGES"] says: how each edge is purged by tag.

"EDGES": {"varnish": {"kind": "varnish-ban", "urls": ["http://10.0.0.9:6081/"]}}
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from django_dcache import credentials
from django_dcache.errors import ConfigurationError

KINDS = ("varnish-ban", "varnish-xkey", "fastly", "cloudflare")
_known = ("kind", "urls", "token", "timeout")
_legal = re.compile(r"[A-Za-z0-9_-]{1,40}").fullmatch


class Edge(NamedTuple):
    """One edge, or several that are purged alike."""

    name: str
    kind: str
    """One of KINDS, or the dotted path of a function that is called with the tags."""
    urls: tuple[str, ...] = ()
    token: Any = None
    timeout: float = 2.0
    """Seconds that one request may take."""

    @property
    def region(self) -> str:
        """Its name among those that acknowledge an entry of the log."""
        return f"edge:{self.name}"

    def __repr__(self) -> str:
        return f"<edge {self.name}: {self.kind}>"  # Without the token.


def parse(given: Any) -> tuple[Edge, ...]:
    """Raises ConfigurationError."""
    if not isinstance(given, dict):
        raise ConfigurationError("DCACHE['EDGES'] is no dict of edges by name")
    return tuple(_edges(given))


def _edges(given: dict[Any, Any]) -> Iterator[Edge]:
    for name, entry in given.items():
        where = f"DCACHE['EDGES'][{name!r}]"
        if not isinstance(name, str) or not _legal(name):
            raise ConfigurationError(f"{where}: letters, digits, - and _ only, at most 40")
        if not isinstance(entry, dict) or not set(entry) <= set(_known):
            raise ConfigurationError(f"{where}: want a dict with {', '.join(_known)}")
        kind, urls, timeout = entry.get("kind"), entry.get("urls", ()), entry.get("timeout", 2.0)
        if not isinstance(kind, str) or (kind not in KINDS and "." not in kind):
            raise ConfigurationError(f"{where}: kind is {kind!r}, want {', '.join(KINDS)} or a dotted path")
        if not isinstance(urls, (list, tuple)) or (kind in KINDS and not urls):
            raise ConfigurationError(f"{where}: urls is {urls!r}, want a list of addresses")
        if not all(isinstance(url, str) and url.startswith(("http://", "https://")) for url in urls):
            raise ConfigurationError(f"{where}: urls begin with http:// or https://")
        if type(timeout) not in (int, float) or not 0 < timeout <= 60:
            raise ConfigurationError(f"{where}: timeout is {timeout!r}, want seconds up to 60")
        yield Edge(name, kind, tuple(urls), credentials.source(f"{where}: token", entry.get("token")), timeout)
