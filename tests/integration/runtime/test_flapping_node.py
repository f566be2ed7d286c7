"""A node flaps under load: it hangs, dies, or can't be reached one way or both, and comes back. Nobody notices.

DCACHE_TEST_SCALE=full: 20,000 keys, and flaps of 0.3, 3 and 10 seconds (minutes); else 4,000 keys and 0.3 s.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_dcache.testing import FaultProxy, LocalFleet
from support.load.assertions import COUNTERS, KEYS
from support.load.processes import Load
from support.scale import FULL
from support.waiting import lasts

OPTIONS: dict[str, Any] = {"freshness": 1.0, "timeout": 0.25}
SECONDS = (0.3, 3.0, 10.0) if FULL else (0.3,)
pytestmark = pytest.mark.timing
CALM = 3.0
"""Seconds after a flap, in which everybody finds the node again and quarantines end."""


class Scene:
    """Three nodes; all processes reach the last one through a network of its own."""

    def __init__(self, nodes: LocalFleet, proxy: FaultProxy):
        self.node, self.proxy = nodes.nodes[-1], proxy
        self.addresses = [*nodes.addresses[:-1], proxy.address]

    def hang(self, seconds: float) -> None:
        self.node.freeze()
        lasts(seconds)
        self.node.thaw()

    def die(self, seconds: float) -> None:
        self.node.kill()
        lasts(seconds)
        self.node.start()

    def lose_replies(self, seconds: float) -> None:
        self.proxy.blackhole("replies")
        lasts(seconds)
        self.proxy.heal()

    def lose_all(self, seconds: float) -> None:
        self.proxy.blackhole("both")
        lasts(seconds)
        self.proxy.heal()


@pytest.fixture
def scene(fleet: Callable[..., LocalFleet]) -> Iterator[Scene]:
    nodes = fleet(3, memory=256)
    with FaultProxy(nodes.addresses[-1], seed=1) as proxy:
        yield Scene(nodes, proxy)


@pytest.mark.parametrize("replicas", [2, 1])
@pytest.mark.parametrize("flap", [Scene.hang, Scene.die, Scene.lose_replies, Scene.lose_all])
def test_flap(scene: Scene, flap: Callable[[Scene, float], None], replicas: int) -> None:
    """No exception, no wrong value, nothing staler than `freshness` and a timeout; with two replicas hits as before."""
    with Load(scene.addresses, OPTIONS | {"replicas": replicas}, KEYS, COUNTERS, rest=0.005) as load:
        for seconds in SECONDS:
            flap(scene, seconds)
            lasts(CALM if FULL else 1.0)
        findings = load.stop()
    reads, events = sum(findings.reads.values()), findings.events
    missed = sum(findings.lost.values()) + events["withheld reads"] + events["forgotten"]
    print(
        f"{flap.__name__}, R = {replicas}: {dict(events)}; {missed} of {reads} reads missed what was there; "
        f"worst lag {findings.worst_lag:.3f} s, of counters {findings.counter_lag:.3f} s"
    )
    for never in ("exception", "wrong value", "undead", "counter backwards", "counter too high", "worker died"):
        assert not events[never], findings.wrong
    assert max(findings.worst_lag, findings.counter_lag) <= OPTIONS["freshness"] + OPTIONS["timeout"]
    assert reads > 1000
    if replicas == 2:
        assert missed <= reads / 100
