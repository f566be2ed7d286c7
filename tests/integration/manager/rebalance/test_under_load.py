"""A fleet is resized while processes read, write and count on it through Django, and nobody notices.

DCACHE_TEST_SCALE=full: 20,000 keys, a conductor killed ten times (minutes), and every engine; else 4,000 keys and two
kills.

On a machine so busy that replies come too late the promise is another one: what may be wrong is forgotten, and counted.
The tests print how many slots were; at full scale there may be none if the load has seen every reply come in time.
"""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dcache_manager.cli.exit_codes import Exit
from dcache_manager.jobs.progress import Progress
from dcache_manager.rebalance.conductor import Conductor
from django_dcache.commands import Remove
from django_dcache.flows import Flow
from django_dcache.model.view import View
from django_dcache.testing import LocalFleet, LocalValkey
from support.conductors import Lead, changed, connected
from support.ignite import needs_ignite
from support.load.assertions import COUNTERS, KEYS, OPTIONS, PATIENT, UNSEEN, assert_unnoticed
from support.load.node_contents import inspect
from support.load.processes import Load
from support.scale import FULL

KILLS = 10 if FULL else 2
MEMORY = 256
TOO_LATE = ("Too few keepers", "does not answer", "plan again")
"""What a conductor says that can't begin because others come late."""

Fleets = Callable[..., LocalFleet]


def on(*engines: str) -> pytest.MarkDecorator:
    """On fleets of these engines."""
    return pytest.mark.parametrize("engine", engines)


@pytest.fixture(autouse=True)
def installed(request: pytest.FixtureRequest) -> None:
    """Skips what needs a server that is not here."""
    if "valkey" in request.node.name and not shutil.which(LocalValkey.server()):
        pytest.skip("no valkey-server here; DCACHE_VALKEY names one")
    if "ignite" in request.node.name:
        needs_ignite()


def started(fleet: Fleets, engine: str) -> tuple[LocalFleet, dict[str, Any], float]:
    """Three nodes, the options of the cache, and the rest of the load; of Ignite, each of which is a Java of its own,
    two. That compiles what it runs while it runs it, so a reply may come too late."""
    count, options, rest = (2, PATIENT, 0.2) if engine == "ignite" else (3, OPTIONS, 0.0)
    return fleet(count, memory=MEMORY, engine=engine), options, rest


@on("memcached", *(("redis", "valkey", "ignite") if FULL else ()))
def test_grow_and_shrink_under_load(fleet: Fleets, engine: str) -> None:
    """From 3 nodes to 4 and back to 3 (of Ignite 2 → 3 → 2) under load nothing is stale, lost or left behind, and no
    call raises."""
    nodes, options, rest = started(fleet, engine)
    addresses = list(nodes.addresses)
    changes = {"add": [nodes.add().address]}, {"remove": [nodes.nodes[0].name]}
    with connected(addresses, options) as ours, Load(addresses, options, KEYS, COUNTERS, rest=rest) as load:
        for change in changes:
            progress = Conductor(ours).run(changed(ours, **change))
            print(f"{progress.moved} keys moved at {progress.rate:.0f} a second")
            assert progress.moved
            assert not progress.notes
        assert_unnoticed(nodes, load, FULL and engine != "ignite", options=options)


@on("memcached", "redis", *(("valkey", "ignite") if FULL else ()))
def test_killed_conductor(fleet: Fleets, engine: str, tmp_path: Path) -> None:
    """However often the conductor of 3 → 4 → 3 is killed with -9, at whatever moment, the next run goes on, and nothing
    is lost."""
    (nodes, options, rest), chance = started(fleet, engine), random.Random(11)
    addresses = list(nodes.addresses)
    kills, done = 0, 0
    change = ["--add", nodes.add().address]
    with Load(addresses, options, KEYS, COUNTERS, rest=rest) as load:
        while kills < KILLS or done < 2:
            with Lead(addresses, options, tmp_path, *change) as lead:
                code = lead.ended(chance.uniform(0, 4) if kills < KILLS else 120)
            if code is None:
                kills += 1
                expire_lease(addresses, options)
            elif code == Exit.OK:
                done += 1
                change = ["--remove", nodes.nodes[done // 2].name] if done % 2 else ["--add", nodes.add().address]
            else:
                # A busy machine: too late were the keepers, a node, or the last write of the one that was killed.
                assert any(words in lead.said[-1] for words in TOO_LATE), lead.said
        assert_unnoticed(nodes, load, FULL and engine != "ignite", options=options)


@pytest.mark.parametrize("phase", ["copy", "flip"] if FULL else ["copy"])
def test_replicas_under_load_while_a_node_dies(fleet: Fleets, phase: str) -> None:
    """With two replicas a source that dies in copy, or a joining node that dies in flip, makes nothing stale beyond
    `freshness`, loses no key and raises nothing."""
    options = OPTIONS | {"replicas": 2}
    nodes = fleet(3, memory=MEMORY)
    addresses, added = list(nodes.addresses), nodes.add()
    victim = nodes.nodes[1] if phase == "copy" else added

    def report(progress: Progress) -> None:
        if progress.phase == phase:
            victim.kill()

    with connected(addresses, options) as ours, Load(addresses, options, KEYS, COUNTERS) as load:
        Conductor(ours, report=report).run(changed(ours, add=[added.address]))
        assert not victim.running
        findings = load.stop()
        found = inspect(ours, nodes.nodes, load.truth, findings.bumps)
        print(f"{dict(findings.events)}, worst lag {findings.worst_lag:.3f} s")
        for never in UNSEEN:
            assert not findings.events[never], findings.wrong
        assert findings.worst_lag <= OPTIONS["freshness"] + OPTIONS["timeout"]
        assert findings.worst_miss_ratio < 0.01
        assert not found.different and not found.strays
        assert not [missing for missing in found.missing if not missing.endswith(victim.address)]


def expire_lease(addresses: list[str], options: dict[str, Any]) -> None:
    """What six seconds do to a dead conductor's lease."""
    with connected(addresses, options) as fleet:
        fleet.run(_without_lease)


def _without_lease(view: View) -> Flow[None]:
    yield {name: [Remove(b"_dc:default:conductor")] for name in view.state.topology.nodes}
