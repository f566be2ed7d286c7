"""One key on real nodes, and a sample of the largest."""

from collections.abc import Iterator

import pytest
from django.core.cache import caches
from django.test import override_settings

from dcache_manager.inspection.fleet_report import limits
from dcache_manager.inspection.key_copies import key_report
from dcache_manager.inspection.key_sizes import measure
from dcache_manager.inspection.target import Target, of_alias
from django_dcache.errors import InvalidKey
from django_dcache.model.topology import Node
from django_dcache.testing import LocalFleet


@pytest.fixture
def nodes() -> Iterator[LocalFleet]:
    """Three nodes, on which the default alias keeps two copies."""
    with LocalFleet(3) as nodes:
        options = {"replicas": 2, "timeout": 10, "freshness": 0.2, "max_value": 20 * 2**20}
        entry = {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": nodes.addresses, "OPTIONS": options}
        with override_settings(CACHES={"default": entry}):
            yield nodes


def states(target: Target, key: str) -> list[str]:
    return [copy.state for copy in key_report(target, target.make_key(key)).copies]


def test_copies(nodes: LocalFleet) -> None:
    """Each copy says how long it lives, how large it is and what its flags are; a look is no use of the key."""
    caches["default"].set("k", "x" * 1000, 60)
    target = of_alias("default")
    report = key_report(target, ":1:k")
    assert [copy.state for copy in report.copies] == ["there", "there"] and report.made_key == ":1:k"
    assert all(50 < copy.ttl <= 60 and 1000 <= copy.size < 1100 for copy in report.copies)
    caches["default"].set("forever", 1, None)
    assert [copy.ttl for copy in key_report(target, target.make_key("forever")).copies] == [None, None]


def test_absent(nodes: LocalFleet) -> None:
    """What is not there is missing, what a caller loads is being loaded, and a dead node gives no answer."""
    cache, target = caches["default"], of_alias("default")
    assert states(target, "k") == ["missing", "missing"]
    seen = []
    cache.get_or_set("loaded", lambda: seen.append(states(target, "loaded")) or 1, 60)
    assert "being loaded" in seen[0]
    holders = [copy.node for copy in key_report(target, target.make_key("loaded")).copies]
    nodes.nodes[nodes.addresses.index(holders[0])].kill()
    assert "no answer" in states(target, "loaded")


def test_large_and_hostile(nodes: LocalFleet) -> None:
    """A value in chunks is told apart; a key that no node would take is refused before any is asked."""
    cache, target = caches["default"], of_alias("default")
    cache.set("large", b"\0" * 3 * 2**20, 60)
    assert states(target, "large") == ["in chunks", "in chunks"]
    with pytest.raises(InvalidKey):
        key_report(target, "a b\r\nflush_all")


def test_largest(nodes: LocalFleet) -> None:
    """The largest keys come first; a node that does not answer costs the time once, and says why."""
    cache, target = caches["default"], of_alias("default")
    cache.set_many({f"k{number}": "x" * (10 * number) for number in range(500)}, 60)
    silent = Node.at("127.0.0.1:9", "silent")
    layout = target.configuration.layout
    found = measure([*layout.nodes, silent], limits(target.configuration), 1.0)
    assert found["silent"].complaint and not found["silent"].listed
    sizes = [size for node in layout.nodes for size, _ in found[node.name].largest]
    assert max(sizes) >= 4990 and sum(found[node.name].listed for node in layout.nodes) >= 1000
    assert found[layout.nodes[0].name].largest == sorted(found[layout.nodes[0].name].largest, reverse=True)
