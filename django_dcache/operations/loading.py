"""get_or_set, and the versions of tags that a value is stored with."""

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from inspect import isawaitable
from typing import Any

from ..commands import Value
from ..flows import Flow, Item, Load, Operation, Run
from ..flows.load import fetch_or_load, reload
from ..model.view import View
from ..values.conditions import CONDITIONAL, VERSION_BYTES, Conditional
from .common import ABSENT, name
from .loader import Loader, Terms
from .swapping import Swapping
from .used_tags import use

log = logging.getLogger("django_dcache")

TAG_SECONDS = 30 * 24 * 3600.0
"""How long a tag lives that is not invalidated: with it end the values that have it."""
DROPS = 3
"""How often one call makes room where it finds a value whose conditions do not hold."""
LEAST_CLAIM_SECONDS = 1.0
"""For how long the right to load a stale value anew is one caller's, at least; it gives the right back before."""
_NOT_TOLD = {"action": "renewal_not_sent"}
RECENT_SECONDS = 0.1
"""For how long a process does not ask again who has that right."""

Versions = Mapping[str, bytes]
TagsGiven = Iterable[str] | Versions | None
Renew = Callable[[], Any]
"""Has another process load a stale value anew. What it returns is false if it could not: then its caller loads."""


class Loading(Swapping):
    """Operations that have the application load what is missing, or stale, and store that."""

    def _get_or_set(
        self,
        made_key: str,
        default: Any,
        ttl: float | None,
        run: Callable[[Operation], Any],
        may_await: bool = False,
        terms: Terms | None = None,
    ) -> Operation:
        loader = Loader(self, made_key, default, ttl, run, may_await, terms)

        def named(view: View) -> Any:
            loader.young = view.young(made_key)
            return fetch_or_load(view, name(view, made_key), loader, loader.wait_seconds)

        for _ in range(DROPS):
            found = yield from self._settled(Run(named), None)
            if loader.value is not ABSENT:
                return loader.value
            doubted = found is None or self._doubted(1)
            value = ABSENT if doubted else (yield from self._decode(made_key, found))
            if value is not ABSENT:
                return value
            if doubted or not found.flags & CONDITIONAL:
                break
            yield from self._drop(made_key, found)  # Then all who find it gone ask for one lease.
        item = yield Run(_ask_application, (loader,))
        if not doubted and not found.flags & CONDITIONAL:  # There is something, but it can't be read: replace it.
            yield from self._write({made_key: item})
        return loader.value

    def _get_or_set_on_terms(
        self,
        made_key: str,
        default: Any,
        ttl: float | None,
        run: Callable[[Operation], Any],
        may_await: bool,
        tags: TagsGiven,
        stale: float,
        renew: Renew | None = None,
    ) -> Operation:
        """The versions are read before anything is loaded, and only where something is missing or stale."""
        found = (yield from self._fetch((made_key,))).get(made_key)
        value, due = (yield from self._decode_stale(made_key, found, stale)) if found else (ABSENT, False)
        if value is not ABSENT and not (due and (yield from self._claim(made_key))):
            return value
        if value is not ABSENT and renew is not None and _handed_over(renew):
            return value  # The claim stays until it is given back, or ends: then another one is sent for.
        terms = Terms((yield from self._made_versions(tags or (), run)), stale)
        if found is not None and value is not ABSENT:
            loader = Loader(self, made_key, default, ttl, run, may_await, terms)
            try:
                yield from self._renew(made_key, found, loader, may_await)
            finally:
                yield from self._give_claim_back(made_key)
            if loader.called:
                return value if loader.value is ABSENT else loader.value
        return (yield from self._get_or_set(made_key, default, ttl, run, may_await, terms))

    # Stale values

    def _decode_stale(self, made_key: str, found: Value, stale: float) -> Operation:
        """The value, or ABSENT; and whether it is due to be loaded anew."""
        try:
            return (yield from self._whole(made_key, found)), False
        except Conditional as conditional:
            opened = yield from self._open_many({made_key: conditional}, stale=stale > 0)
            return opened[made_key], self.fleet.view.wall_clock() >= conditional.conditions.renew_at

    def _renew(self, made_key: str, found: Value, loader: Loader, may_await: bool) -> Operation:
        """Load anew, and store that where the stale value still is. A loader that fails leaves it there."""

        def load() -> Any:
            try:
                made = loader()
            except Exception:
                return failed()
            return then(made) if may_await and isawaitable(made) else made

        async def then(made: Any) -> Any:
            try:
                return await made
            except Exception:
                return failed()

        def failed() -> None:
            log.exception("A stale value could not be loaded anew; it is served.", extra={"action": "renewal_failed"})

        def named(view: View) -> Any:
            loader.young = view.young(made_key)
            return reload(view, name(view, made_key), found.data, load)

        yield Run(named)

    def _claim(self, made_key: str) -> Operation:
        """Whether this caller is the one to load it anew."""
        claims, now = self.fleet.claims, self.fleet.clock()
        if claims.get(made_key, now) > now:
            return False
        if len(claims) > 10_000:
            claims.clear()
        seconds = max(self.fleet.options.load_wait, LEAST_CLAIM_SECONDS)
        claims[made_key] = now + RECENT_SECONDS
        claim = self._made_claim(made_key)
        claimed = yield from self._add(claim, self._item(claim, 1, seconds))
        if claimed:
            claims[made_key] = now + seconds
        return claimed

    def _give_claim_back(self, made_key: str) -> Operation:
        self.fleet.claims.pop(made_key, None)
        yield from self._write({self._made_claim(made_key): None})

    def _made_claim(self, made_key: str) -> str:
        digest = blake2b(made_key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return str(self.key_func(digest, self.key_prefix, "renewal"))

    # Tags

    def _made_versions(self, tags: Iterable[str] | Versions, run: Callable[[Operation], Any]) -> Operation:
        """The versions that what is loaded from now on may carry, by tag. A tag that is missing gets a new one."""
        if isinstance(tags, Mapping):
            return tags
        if isinstance(tags, str):
            raise TypeError(f"tags is {tags!r}, want a list of them")
        wanted = list(dict.fromkeys(tags))
        if self.fleet.view.coexists:  # What has tags is not stored: these are never compared with any.
            return {tag: os.urandom(VERSION_BYTES) for tag in wanted}
        versions = (yield from self._versions(wanted)) if wanted else {}
        for tag in wanted:
            if tag not in versions:
                made_tag, new = self.made_tag(tag), os.urandom(VERSION_BYTES)
                plans, began = self.fleet.plans, self.fleet.clock()
                version = yield from self._get_or_set(made_tag, new, TAG_SECONDS, run)
                self.fleet.tag_versions.admit(made_tag, began, plans, 0, version, version)
                versions[tag] = version
        return versions

    def _set_many_on_terms(
        self,
        values: Mapping[str, Any],
        ttl: float | None,
        tags: Iterable[str] | Versions,
        run: Callable[..., Any],
        stale: float = 0,
    ) -> Operation:
        """The made keys of those that could not be stored."""
        terms = Terms((yield from self._made_versions(tags, run)), stale)
        conditions = terms.conditions({}, self.fleet.view.wall_clock(), ttl)
        use(self.namespace, conditions.versions)
        stored = terms.ttl(ttl)
        items = {made_key: self._item_on(conditions, made_key, value, stored) for made_key, value in values.items()}
        return (yield from self._set_many(items))


def _handed_over(renew: Renew) -> bool:
    try:
        return bool(renew())
    except Exception:  # Of the site's own, or of its broker.
        log.exception("A stale value is loaded anew by its reader: no other process could be told.", extra=_NOT_TOLD)
        return False


def _ask_application(view: View, load: Callable[[], Any]) -> Flow[Item | None]:
    item: Item | None
    item, _ = yield Load(load)
    return item
