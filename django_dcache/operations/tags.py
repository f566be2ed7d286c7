"""Values on conditions: whether their tags still have the versions that were read before the values were made.

A tag is an item with a random version. Invalidating it deletes that item, and the next version is another one; so a tag
that is missing, for whatever reason, is a tag that has changed (docs/adr/0035).
"""

from collections.abc import Collection, Generator, Iterable, Mapping
from typing import Any

from ..commands import Value
from ..errors import UnreadableValue
from ..flows import Operation, Run
from ..values.chunks import InChunks
from ..values.conditions import CONDITIONAL, VERSION_BYTES, Conditional
from .common import ABSENT, Common
from .used_tags import use

NAMESPACE = "tag"
"""What stands in a made key of a tag where others have a version: a tag is the same for all versions of a key."""


class Tags(Common):
    """What a process knows of tags, and asks the nodes for."""

    def _fetch(self, made_keys: Collection[str]) -> Generator[Run, Any, dict[str, Value | None]]:
        raise NotImplementedError

    @property
    def namespace(self) -> tuple[Any, str]:
        """Tags of caches with the same one are the same."""
        return self.fleet, self.key_prefix

    def made_tag(self, tag: str) -> str:
        """The made key of a tag. Raises InvalidCacheKey."""
        made = str(self.key_func(tag, self.key_prefix, NAMESPACE))
        self.validate_key(made)
        return made

    def _known_version(self, tag: str) -> bytes | None:
        """The version that this process read within `freshness`, under all the rules of the near cache."""
        fleet = self.fleet
        entry = fleet.tag_versions.find(self.made_tag(tag), fleet.clock(), fleet.plans, fleet.proven_until)
        version: bytes | None = entry.value if entry else None
        return version

    def _versions(self, tags: Iterable[str]) -> Operation:
        """The versions that the nodes hold, by tag. One that is missing has none."""
        fleet, made = self.fleet, {self.made_tag(tag): tag for tag in tags}
        plans, began = fleet.plans, fleet.clock()
        found = yield from self._fetch(made)
        versions: dict[str, bytes] = {}
        for made_tag, item in found.items():
            version = self._decoded(made_tag, item.flags, item.data) if item and item.data else ABSENT
            if isinstance(version, bytes) and len(version) == VERSION_BYTES:
                versions[made[made_tag]] = version
                fleet.tag_versions.admit(made_tag, began, plans, 0, version, version)
            else:
                fleet.tag_versions.forget(made_tag)
        return versions

    def _changed(self, wanted: Iterable[tuple[str, bytes]], fresh: bool) -> Operation:
        """Those of these pairs of tag and version that are not so now. `fresh`: the nodes are asked for all of them."""
        unsure = {(tag, version) for tag, version in wanted if fresh or self._known_version(tag) != version}
        if not unsure:
            return unsure
        # A version that this process knows may be the older one: another process has stored by a newer.
        now = yield from self._versions({tag for tag, _ in unsure})
        return {(tag, version) for tag, version in unsure if now.get(tag) != version}

    def _learn_versions(self, found: Mapping[str, tuple[int, bytes] | None]) -> Operation:
        """Ask in one round for the versions of all tags of what was found: then it is opened by what is known."""
        tags: set[str] = set()
        for made_key, read in found.items():
            if read and read[0] & CONDITIONAL:
                try:
                    self._decoded(made_key, *read)
                except Conditional as conditional:
                    tags.update(conditional.conditions.versions)
                except InChunks:
                    pass  # It is read by an operation of its own.
        if unknown := [tag for tag in tags if self._known_version(tag) is None]:
            yield from self._versions(unknown)

    def _open_many(self, conditional: Mapping[str, Conditional], fresh: bool = False, stale: bool = False) -> Operation:
        """By made key, ABSENT for those whose conditions do not hold. `stale`: also what is due to be made again."""
        pairs = [each.conditions.versions.items() for each in conditional.values()]
        changed = yield from self._changed(set().union(*pairs), fresh)
        return {
            made_key: self._opened(each) if self._hold(each, changed, stale) else ABSENT
            for made_key, each in conditional.items()
        }

    def _open(self, made_key: str, conditional: Conditional, fresh: bool = False) -> Operation:
        """The value, or ABSENT."""
        return (yield from self._open_many({made_key: conditional}, fresh))[made_key]

    def _open_known(self, conditional: Conditional) -> Any:
        """The value if this process knows that its conditions hold, else ABSENT: no node is asked."""
        versions = conditional.conditions.versions
        changed = {(tag, version) for tag, version in versions.items() if self._known_version(tag) != version}
        return self._opened(conditional) if self._hold(conditional, changed, False) else ABSENT

    def _hold(self, conditional: Conditional, changed: Collection[tuple[str, bytes]], stale: bool) -> bool:
        versions, renew_at = conditional.conditions
        if not versions.items().isdisjoint(changed):
            return False
        return stale or self.fleet.view.wall_clock() < renew_at

    def _opened(self, conditional: Conditional) -> Any:
        use(self.namespace, conditional.conditions.versions)
        try:
            return conditional.open()
        except UnreadableValue as error:
            return self._unreadable(error, ABSENT)
