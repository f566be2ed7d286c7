"""Which keys there are, by what the nodes list of themselves: for a look, or for a sweep; nothing for a request.

A listing is live: what is stored or deleted meanwhile may be missing from it, or in it. A key that is too long to keep
its name on a node (from about 240 bytes on) is never in it, nor one that `safe_key` hashed.
"""

from asyncio import to_thread
from collections.abc import AsyncIterator, Iterable, Iterator
from fnmatch import translate
from re import compile as pattern_of
from time import monotonic
from typing import Any

from django.core.cache.backends.base import default_key_func
from django.core.exceptions import ImproperlyConfigured

from ..flows import Operation, Run
from ..flows.read import fetch
from ..keys import HASHED, safe_key
from ..model.keys import RESERVED, is_chunk, parse_wire_key, plain
from ..model.view import View
from ..operations.common import name
from ..transport.key_listing import pages
from .aio import AsyncMethods
from .sync import SyncMethods

BATCH_KEYS = 500
SWEEP_SECONDS = 60.0
"""How long `keys` and `delete_pattern` take at most unless they are told otherwise."""


class ListingMethods(SyncMethods, AsyncMethods):
    """`search` is a pattern of the shell (`*`, `?`, `[abc]`) for keys as the application names them. `itersize` is
    accepted, and changes nothing: nodes list some hundred keys at a time."""

    def iter_keys(self, search: str = "*", version: int | None = None, *, itersize: int | None = None) -> Iterator[str]:
        """Each key of this alias that can be read. Raises NodeFailure where a node does not list its keys."""
        for batch in self._listed(search, version):
            yield from batch

    def keys(self, search: str = "*", version: int | None = None, *, seconds: float = SWEEP_SECONDS) -> list[str]:
        """All of them. Raises TimeoutError if that takes longer."""
        found: list[str] = []
        for batch in _in_time(self._listed(search, version), seconds):
            found += batch
        return found

    def delete_pattern(
        self,
        pattern: str,
        version: int | None = None,
        *,
        seconds: float = SWEEP_SECONDS,
        itersize: int | None = None,
    ) -> int:
        """Delete each key that matches, as `delete_many` does; how many there were. Raises TimeoutError if that takes
        longer: what was deleted until then is, and the next call deletes more."""
        count = 0
        for batch in _in_time(self._listed(pattern, version), seconds):
            self.delete_many(batch, version)
            count += len(batch)
        return count

    async def aiter_keys(
        self, search: str = "*", version: int | None = None, *, itersize: int | None = None
    ) -> AsyncIterator[str]:
        async for batch in _from_thread(self._listed(search, version)):
            for key in batch:
                yield key

    async def akeys(
        self, search: str = "*", version: int | None = None, *, seconds: float = SWEEP_SECONDS
    ) -> list[str]:
        return await to_thread(self.keys, search, version, seconds=seconds)

    async def adelete_pattern(
        self,
        pattern: str,
        version: int | None = None,
        *,
        seconds: float = SWEEP_SECONDS,
        itersize: int | None = None,
    ) -> int:
        return await to_thread(self.delete_pattern, pattern, version, seconds=seconds)

    def _listed(self, search: str, version: int | None) -> Iterator[list[str]]:
        """The keys that match and can be read, some hundreds at a time; an empty list while a node is silent."""
        if self.key_func not in (default_key_func, safe_key):
            raise ImproperlyConfigured("This KEY_FUNCTION has no way back from what it makes: keys can't be listed")
        hashed = HASHED if self.key_func is safe_key else ""
        head, matches = self.make_key("", version), pattern_of(translate(search)).fullmatch
        layouts = self.fleet.view.state.topology.layouts
        once = len(layouts) == 1 and layouts[0].replicas == 1
        seen: set[str] = set()
        for node in self.fleet.view.state.topology.nodes.values():
            if node.out:
                continue
            for page in pages(node, self.fleet.transport.limits):
                named = [made for made in map(_made_key, (key for key, _ in page)) if made.startswith(head)]
                named = [made for made in named if made not in seen and not (hashed and hashed in made)]
                wanted = dict.fromkeys(made for made in named if matches(made[len(head) :]))
                if not once:
                    seen.update(wanted)
                yield [made[len(head) :] for made in self._run(self._readable(wanted))] if wanted else []

    def _readable(self, made_keys: Iterable[str]) -> Operation:
        """Those under which there is a value: a node also lists stubs, and what was invalidated."""
        names: dict[str, bytes] = {}

        def named(view: View) -> Any:
            names.update((made_key, name(view, made_key)) for made_key in made_keys)
            return fetch(view, names.values(), value=False)

        found = yield Run(named)
        return [made_key for made_key, name in names.items() if name in found]


def _made_key(wire_key: bytes) -> str:
    """Empty for what is no key of a site."""
    parsed = parse_wire_key(wire_key)
    if parsed is None or parsed[0].startswith(RESERVED) or is_chunk(parsed[0]):
        return ""
    try:
        return plain(parsed[0]).decode()
    except UnicodeDecodeError:  # A name that was made from a long key.
        return ""


def _in_time(batches: Iterator[list[str]], seconds: float) -> Iterator[list[str]]:
    until = monotonic() + seconds
    for batch in batches:
        yield batch
        if monotonic() > until:
            raise TimeoutError(f"the nodes have listed their keys for {seconds:g} seconds and are not through")


async def _from_thread(batches: Iterator[list[str]]) -> AsyncIterator[list[str]]:
    while (batch := await to_thread(next, batches, None)) is not None:
        yield batch
