"""Django's cache API for threads: each method by the short cut, and by its operation where that needs the flow."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from ..errors import UnreadableValue
from ..flows import Item, Operation, Run
from ..operations import ABSENT, OVER
from ..operations.loading import Renew
from ..runtime import shortcut, shortcut_many, shortcut_write
from ..runtime.fleet import Carried
from ..runtime.shortcut import NeedsFlow
from ..values.chunks import InChunks
from ..values.conditions import Conditional
from ..values.plain import MOST
from .common import KEYS_OF_A_DELETION, ManyKeys, Tags


class SyncMethods(ManyKeys):
    """Those that block."""

    def _run(self, operation: Operation, needs: NeedsFlow | None = None) -> Any:
        """The result of an operation; `needs`: its first rounds, as far as the short cut carried them."""
        resume, answer = operation.send, None
        while True:
            try:
                run = resume(answer)
            except StopIteration as stop:
                return stop.value
            carried, needs = needs.carried if needs else None, None
            try:
                resume, answer = operation.send, self._carry(run, carried)
            except Exception as error:
                resume, answer = operation.throw, error

    def _carry(self, run: Run, carried: Carried | None) -> Any:
        if run.short_cut:
            try:
                return run.short_cut()
            except NeedsFlow as needs:
                carried = needs.carried
        return self.fleet.run(run.flow, *run.arguments, carried=carried)

    def get(self, key: Any, default: Any = None, version: int | None = None, *, fresh: bool = False) -> Any:
        made_key = self.make_key(key, version)
        try:
            found = shortcut.get(self.fleet, made_key)
            if found is None:
                return default
            flags, data = found
            return self._decode_bytes(made_key, flags, data)
        except NeedsFlow as needs:
            return self._run(self._get(made_key, default), needs)
        except UnreadableValue as error:
            return self._unreadable(error, default)
        except (Conditional, InChunks) as special:
            value = self._run(self._special(made_key, flags, data, special))
            return default if value is ABSENT else value

    def get_many(self, keys: Iterable[Any], version: int | None = None, *, fresh: bool = False) -> dict[Any, Any]:
        wanted = self._made_keys(keys, version)
        if len(wanted) == 1:
            (key,) = wanted.values()
            value = self.get(key, ABSENT, version, fresh=fresh)
            return {} if value is ABSENT else {key: value}
        values: dict[Any, Any] = {}
        for made_keys in self._parts(wanted):
            try:
                values |= self._values(found := shortcut_many.get_many(self.fleet, made_keys), made_keys)
            except NeedsFlow as needs:
                values |= self._run(self._get_many(made_keys), needs)
            except (Conditional, InChunks):
                values |= self._run(self._values_of(found, made_keys))
        return values

    def has_key(self, key: Any, version: int | None = None) -> bool:
        return self.get(key, ABSENT, version) is not ABSENT

    def get_or_set(
        self,
        key: Any,
        default: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        tags: Tags | None = None,
        stale: float = 0,
        renew: Renew | None = None,
    ) -> Any:
        """The value, or what `default` is or returns, stored for next time, with `tags`.

        With `stale`, seconds, one caller loads anew what has passed its timeout; the others get the old value, for so
        long, without waiting. With `renew` that one doesn't load either: it calls this, which tells another process,
        by a Celery task, say, to call `give_claim_back` and then `get_or_set` without `renew`. If what it returns is
        false, or it raises, its caller loads.

        The right to store is leased before `default` is called and lost to any write meanwhile: a slow loader never
        overwrites something newer. While one caller loads, others wait briefly instead of loading too.
        """
        made_key, needs = self.make_key(key, version), None
        try:
            found = shortcut.get(self.fleet, made_key, loads=True)
            if found and (value := self._present(made_key, *found)) is not ABSENT:
                return value
        except NeedsFlow as more:
            needs = more.with_traceback(None)  # A cycle would keep its connections open until it is collected.
        return self._load(made_key, default, timeout, needs, tags=tags, stale=stale, renew=renew)

    def _present(self, made_key: str, flags: int, data: bytes) -> Any:
        """The value, or ABSENT."""
        try:
            return self._decoded(made_key, flags, data)
        except (Conditional, InChunks) as special:
            return self._run(self._special(made_key, flags, data, special))

    def _load(
        self,
        made_key: str,
        default: Any,
        timeout: Any,
        needs: NeedsFlow | None,
        tags: Tags | None = None,
        stale: float = 0,
        renew: Renew | None = None,
    ) -> Any:
        ttl = self._ttl(timeout)
        if tags is None and not stale:
            return self._run(self._get_or_set(made_key, default, ttl, self._run), needs)
        return self._run(self._get_or_set_on_terms(made_key, default, ttl, self._run, False, tags, stale, renew), needs)

    def set(
        self,
        key: Any,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        tags: Tags | None = None,
        stale: float = 0,
        nx: bool = False,
        xx: bool = False,
        get: bool = False,
    ) -> Any:
        """True if the value can be read now; False if it could not be stored (the old one is gone then).

        `tags`: best what `tag_versions` returned before the value was loaded. `stale` means something with tags.
        `nx`, `xx`: only where no value is there, or where one is; False changes nothing. `get`: answer with the value
        that was there before, or None. These three stand without tags, and for values of one item; what `cas` says of
        failures holds for xx and get.
        """
        made_key, ttl, needs = self.make_key(key, version), self._ttl(timeout), None
        if nx or xx or get or ttl == OVER or tags is not None:
            if nx or xx or get:
                return self._run(self._set_if(made_key, value, ttl, nx, xx, get))
            return not self._set_many_specially({made_key: value}, ttl, tags, stale)
        item = self._item(made_key, value, ttl)
        if type(item) is Item:
            try:
                shortcut_write.store(self.fleet, made_key, *item)
                return True
            except NeedsFlow as more:
                needs = more.with_traceback(None)
        return bool(self._run(self._set(made_key, item), needs))

    def give_claim_back(self, key: Any, version: int | None = None) -> None:
        """In the process that `renew` has told: from now on `get_or_set` loads a stale value anew, as ever."""
        self._run(self._give_claim_back(self.make_key(key, version)))

    def tag_versions(self, tags: Iterable[str]) -> Mapping[str, bytes]:
        """The versions that these tags have now, for `tags=`: what is loaded after this call is not read once one of
        them has been invalidated."""
        versions: Mapping[str, bytes] = self._run(self._made_versions(tags, self._run))
        return versions

    def changed_tags(self, versions: Mapping[str, bytes]) -> Collection[str]:
        """The tags that do not have these versions any more, as the nodes say now."""
        return {tag for tag, _ in self._run(self._changed(versions.items(), fresh=True))}

    def set_many(
        self,
        data: Mapping[Any, Any],
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        *,
        tags: Tags | None = None,
    ) -> list[Any]:
        """The keys that could not be stored."""
        if len(data) == 1:
            ((key, value),) = data.items()
            return [] if self.set(key, value, timeout, version, tags=tags) else [key]
        made_keys, ttl = self._made_keys(data, version), self._ttl(timeout)
        failed: list[str] = []
        if ttl == OVER or tags is not None:
            failed += self._set_many_specially({made_key: data[key] for made_key, key in made_keys.items()}, ttl, tags)
        else:
            for items in self._parts(self._items(data, made_keys, ttl)):
                try:
                    shortcut_many.store_many(self.fleet, items)
                except NeedsFlow as needs:
                    failed += self._run(self._set_many(items), needs)
        return [made_keys[made_key] for made_key in failed]

    def _set_many_specially(
        self, values: Mapping[str, Any], ttl: float | None, tags: Tags | None, stale: float = 0
    ) -> list[str]:
        if tags is None or ttl == OVER:
            return self._delete_many(values)
        failed: list[str] = []
        versions = self.tag_versions(tags)
        for part in self._parts(values):
            failed += self._run(self._set_many_on_terms(part, ttl, versions, self._run, stale))
        return failed

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        made_key, ttl, needs = self.make_key(key, version), self._ttl(timeout), None
        if ttl == OVER:
            return self.get(key, ABSENT, version) is ABSENT
        item = self._item(made_key, value, ttl)
        if type(item) is Item:
            try:
                return shortcut_write.add(self.fleet, made_key, *item, self._codec.readable)
            except NeedsFlow as more:
                needs = more.with_traceback(None)
        return bool(self._run(self._add(made_key, item), needs))

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        made_key, ttl = self.make_key(key, version), self._ttl(timeout)
        if ttl == OVER:
            return self.delete(key, version)
        try:
            return shortcut_write.touch(self.fleet, made_key, ttl)
        except NeedsFlow as needs:
            return bool(self._run(self._touch(made_key, ttl), needs))

    def delete(self, key: Any, version: int | None = None) -> bool:
        """True if there was something to delete. No client reads it afterwards, whatever its nodes do."""
        made_key = self.make_key(key, version)
        try:
            return shortcut_write.remove(self.fleet, made_key)
        except NeedsFlow as needs:
            return bool(self._run(self._remove(made_key), needs))

    def delete_many(self, keys: Iterable[Any], version: int | None = None) -> int | None:
        """None, as in Django; with OPTIONS["count_deletes"], how many of the keys there were."""
        made_keys = self._made_keys(keys, version)
        if self.fleet.options.count_deletes:
            return sum(int(self._run(self._count_removed(part))) for part in self._parts(made_keys))
        self._delete_many(made_keys)
        return None

    def _delete_many(self, made_keys: Mapping[str, Any]) -> list[str]:
        """The made keys that may still be read."""
        failed: list[str] = []
        for part in self._parts(made_keys, KEYS_OF_A_DELETION):
            try:
                shortcut_many.remove_many(self.fleet, part)
            except NeedsFlow as needs:
                failed += self._run(self._remove_many(part), needs)
        return failed

    def incr(self, key: Any, delta: int = 1, version: int | None = None, *, ignore_key_check: bool = False) -> int:
        """The new number; the TTL stays. Raises ValueError if there is none, TypeError if it is no whole number.

        With `ignore_key_check`, one that is absent begins with `delta`, and never expires.
        """
        made_key, needs = self.make_key(key, version), None
        if ignore_key_check:
            return int(self._run(self._incr_or_begin(key, made_key, delta)))
        if isinstance(delta, int) and 0 <= delta <= MOST:
            try:
                number = shortcut_write.count(self.fleet, made_key, delta)
                if number is None:
                    raise ValueError(f"Key {key!r} not found")
                return number
            except NeedsFlow as more:
                needs = more.with_traceback(None)
        return int(self._run(self._incr(key, made_key, delta), needs))

    def decr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return self.incr(key, -delta, version)

    def incr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return int(self._run(self._incr_version(key, delta, version)))

    def decr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return self.incr_version(key, -delta, version)

    def clear(self) -> bool:
        """Make all that the fleet holds unreadable, for every alias and project on it; nothing else on its nodes."""
        return bool(self._run(self._clear(lambda look: look())))

    def close(self, **kwargs: Any) -> None:
        """Nothing: Django calls this after every request, and connections survive requests."""
