"""A rebalance on Celery workers ends as it does in one process, whoever is killed."""

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from dcache_manager.cli.exit_codes import Exit
from django_dcache.flows import Item
from django_dcache.flows.write import write
from django_dcache.model.keys import RESERVED, parse_wire_key
from django_dcache.testing import LocalFleet
from support.celery_site.site import OPTIONS, Site
from support.conductors import connected
from support.servers import Broker
from support.waiting import until

NAMES = [b":1:key:%d" % number for number in range(4000)]
MOVING = "SELECT holder FROM dcache_manager_step WHERE state = 'running' AND name LIKE 'e3/copy/1@%'"
MOVING_AGAIN = "SELECT holder FROM dcache_manager_step WHERE state = 'running' AND name NOT LIKE 'e3/copy/1@%'"
LEADER = "SELECT holder FROM dcache_manager_job WHERE holder != ''"
STATE = "SELECT state FROM dcache_manager_job"
Fleets = Callable[..., LocalFleet]


@pytest.fixture
def nodes(fleet: Fleets) -> LocalFleet:
    """Three nodes with 4,000 keys, and a fourth one that is to join."""
    nodes = fleet(3)
    with connected(nodes.addresses, OPTIONS) as ours:
        for start in range(0, len(NAMES), 500):
            items = {name: Item(0, name, 3600) for name in NAMES[start : start + 500]}
            assert all(outcome.successful for outcome in ours.run(write, items).values())
    nodes.add()
    return nodes


def misplaced(nodes: LocalFleet) -> list[str]:
    """Keys that lie on a node that does not own them, or do not lie on one that does."""
    with connected(nodes.addresses[:3], OPTIONS) as ours:
        view = ours.proven_view()
        assert list(view.state.topology.nodes) == nodes.addresses
        found = []
        for node in nodes.nodes:
            there = {parse_wire_key(key)[0] for key in node.items() if not key.startswith(RESERVED)}
            owned = {name for name in NAMES if node.address in view.place(name).route.read}
            found += [f"{name!r} on {node.address}" for name in there ^ owned]
    return found


def test_children_are_killed(nodes: LocalFleet, broker: Broker, tmp_path: Path) -> None:
    """Two children move the keys side by side; one is killed that does a step, then the one that leads, then all there
    is, and the messages with it. Others go on, and every key arrives."""
    with closing(Site(tmp_path, nodes.addresses[:3], broker.url)) as site:
        site.work(2)
        limit = ("--max-rate", "300")
        run = site.start("rebalance", "run", "--runner", "celery", "--add", nodes.addresses[3], "--yes", *limit)
        assert until(lambda: len(set(site.rows(MOVING))) == 2), site.said
        leaders, killed = site.rows(LEADER), set[str]()
        assert any(site.kill_child(holder) for holder in site.rows(MOVING) if holder not in leaders)
        assert until(lambda: killed.update(filter(site.kill_child, site.rows(LEADER))) or killed), site.said
        assert until(lambda: set(site.rows(LEADER)) - killed), site.said
        site.kill_workers()
        site.work(2, "-B", f"--schedule={tmp_path / 'beat'}")
        said, told = run.communicate(timeout=60)
        assert run.returncode == Exit.OK, told + site.said
        (item,) = json.loads(said)["items"]
        assert (item["state"], item["runner"], item["phase"]) == ("done", "celery", "stable")
        assert item["moved"] >= len(NAMES) // 8 and not item["notes"]
        assert site.rows(MOVING) == site.rows(LEADER) == []
    assert not misplaced(nodes)


def test_steered(nodes: LocalFleet, broker: Broker, tmp_path: Path) -> None:
    """One child is enough. An operator lets it stand still, go on and go back, and a job that went back can be tried
    again, at another rate; meanwhile no other process may lead. Messages may come twice, and a broker that is gone
    stops nothing."""
    with closing(Site(tmp_path, nodes.addresses[:3], broker.url)) as site:
        wanted = ("--add", nodes.addresses[3], "--yes")
        begun = site.admin("rebalance", *wanted, "--runner", "celery", "--max-rate", "2", "--no-wait")["items"][0]
        assert [job["state"] for job in site.admin("jobs", "list")["items"]] == ["waiting"]
        site.work(1)
        assert until(lambda: site.rows(MOVING)), site.said
        site.admin("rebalance", "pause")
        assert until(lambda: site.rows(STATE) == ["paused"]), site.said
        status = site.admin("rebalance", "status")["items"][0]
        assert (status["state"], status["conductor"]) == ("paused", f"job/{begun['job']}")
        site.admin("rebalance", *wanted, code=Exit.CONFLICT)
        site.admin("rebalance", "resume")
        assert until(lambda: site.rows(STATE) == ["running"]), site.said
        site.admin("rebalance", "cancel")
        assert site.admin("rebalance", "watch")["items"][0]["state"] == "cancelled"
        site.admin("jobs", "retry", begun["job"][:4])
        assert until(lambda: site.rows(MOVING_AGAIN)), site.said
        site.admin("rebalance", "resume", "--max-rate", "5000")  # At the first rate it would take minutes.
        broker.kill()
        (done,) = site.admin("jobs", "watch", begun["job"])["items"]
        assert (done["state"], done["kind"]) == ("done", "rebalance")
    assert not misplaced(nodes)


def test_without_a_broker(nodes: LocalFleet, tmp_path: Path) -> None:
    """With eager tasks the command itself is the worker."""
    with closing(Site(tmp_path, nodes.addresses[:3])) as site:
        wanted = ("--add", nodes.addresses[3], "--yes", "--runner", "celery")
        assert site.admin("rebalance", "run", *wanted)["items"][0]["state"] == "done"
    assert not misplaced(nodes)
