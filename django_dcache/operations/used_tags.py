"""Which tags were used while something was made: a value that was made of tagged values has their tags, too, and a
response tells an edge of them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Namespace = Any
"""What tags are compared in: a fleet and the prefix of its keys. Of other namespaces only the names count."""


class UsedTags(dict[tuple[Namespace, str], bytes]):
    """The version that each tag had when it was first used."""

    def of(self, namespace: Namespace) -> dict[str, bytes]:
        return {tag: version for (owner, tag), version in self.items() if owner == namespace}

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(tag for _, tag in self))


_used: ContextVar[UsedTags | None] = ContextVar("dcache_used_tags", default=None)


@contextmanager
def collecting() -> Iterator[UsedTags]:
    """What is used within; what is around it uses that as well."""
    outer, used = _used.get(), UsedTags()
    token = _used.set(used)
    try:
        yield used
    finally:
        _used.reset(token)
        if outer is not None:
            _take(outer, used)


def use(namespace: Namespace, versions: Mapping[str, bytes]) -> None:
    """A value with these versions is used."""
    used = _used.get()
    if used is not None and versions:
        _take(used, {(namespace, tag): version for tag, version in versions.items()})


def _take(used: UsedTags, more: Mapping[tuple[Namespace, str], bytes]) -> None:
    # The first version counts: what was made of a value with that one is outdated once there is another.
    for tag, version in more.items():
        used.setdefault(tag, version)
