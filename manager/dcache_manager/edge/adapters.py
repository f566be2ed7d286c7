"""How each kind of edge is told to drop what has certain tags. Each request may be repeated."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from urllib.request import Request, urlopen

from django.utils.module_loading import import_string

from django_dcache import credentials
from django_dcache.edge import surrogate_key

from ..edges import Edge

HEADER_BYTES = 4000
"""Of tags in one header: edges take some more."""
FASTLY_KEYS, CLOUDFLARE_TAGS = 256, 30
"""What one request may name, by their documentation."""

Keys = Sequence[str]


def purge(edge: Edge, tags: Sequence[str]) -> None:
    """Returns once the edge has dropped all of it. Raises OSError, and whatever the site's own function raises."""
    requests = _kinds.get(edge.kind)
    if requests is None:
        import_string(edge.kind)(list(tags))
        return
    keys = list(dict.fromkeys(map(surrogate_key, tags)))
    for url in edge.urls:
        for request in requests(edge, url, keys):
            # `edges.parse` takes http and https only.
            with urlopen(request, timeout=edge.timeout) as response:  # nosec B310
                response.read(1)


def _varnish_ban(edge: Edge, url: str, keys: Keys) -> Iterator[Request]:
    """A ban on all objects in whose header one of the tags stands."""
    for part in _parts(keys, 1000, HEADER_BYTES):
        pattern = rf"(^|[\s,])({'|'.join(map(re.escape, part))})([\s,]|$)"
        yield Request(url, method="BAN", headers=_own(edge) | {"X-Ban-Tags": pattern})


def _varnish_xkey(edge: Edge, url: str, keys: Keys) -> Iterator[Request]:
    for part in _parts(keys, 1000, HEADER_BYTES):
        yield Request(url, method="PURGE", headers=_own(edge) | {"xkey-purge": " ".join(part)})


def _own(edge: Edge) -> dict[str, str]:
    return {"X-Purge-Token": _token(edge)} if edge.token else {}


def _fastly(edge: Edge, url: str, keys: Keys) -> Iterator[Request]:
    for part in _parts(keys, FASTLY_KEYS, HEADER_BYTES):
        headers = {"Surrogate-Key": " ".join(part), "Fastly-Key": _token(edge), "Accept": "application/json"}
        yield Request(url, data=b"", method="POST", headers=headers)


def _cloudflare(edge: Edge, url: str, keys: Keys) -> Iterator[Request]:
    headers = {"Authorization": f"Bearer {_token(edge)}", "Content-Type": "application/json"}
    for part in _parts(keys, CLOUDFLARE_TAGS, 10 * HEADER_BYTES):
        yield Request(url, data=json.dumps({"tags": part}).encode(), method="POST", headers=headers)


_kinds: dict[str, Callable[[Edge, str, Keys], Iterator[Request]]] = {
    "varnish-ban": _varnish_ban,
    "varnish-xkey": _varnish_xkey,
    "fastly": _fastly,
    "cloudflare": _cloudflare,
}


def _token(edge: Edge) -> str:
    return credentials.text(f"DCACHE['EDGES'][{edge.name!r}]: token", edge.token)


def _parts(keys: Keys, most: int, most_bytes: int) -> Iterator[list[str]]:
    """At most `most` at a time, and, unless a single one is longer, `most_bytes` together."""
    pending = iter(keys)
    part: list[str] = []
    for key in pending:
        if part and (len(part) == most or sum(map(len, part)) + 2 * len(part) + len(key) > most_bytes):
            yield part
            part = []
        part.append(key)
    yield from islice([part], 1 if part else 0)
