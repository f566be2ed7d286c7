"""What a process learns of its fleet while one of its calls waits for a node."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.flows import Shun
from django_dcache.model import keys as names
from django_dcache.testing import LocalFleet, LocalNode
from support.waiting import turn, until

OPTIONS = {"timeout": 0.4, "connect_timeout": 5.0, "freshness": 60.0, "eject_after": 0.0}
MANY = [f"k{number}" for number in range(40)]


class Scene:
    """Three nodes that hold all of MANY, the first of which stops; `key` is read there first."""

    def __init__(self, fleet: LocalFleet, replicas: int):
        self.node: LocalNode = fleet.nodes[0]
        self.cache = DistributedCache(fleet.addresses, {"OPTIONS": OPTIONS | {"replicas": replicas}})
        self.cache.set_many(dict.fromkeys(MANY, 1))
        self.key = next(key for key in MANY if self._first(key) == self.node.name)

    def _first(self, key: str) -> str:
        return self.cache.fleet.view.place(names.name(self.cache.make_key(key))).route.read[0]

    def learn(self) -> None:
        """As when another caller finds that the node is about to be taken out."""
        self.cache.fleet.note(Shun(frozenset({self.node.name})))

    def arguments(self, method: str) -> list[Any]:
        if "many" in method:
            return [dict.fromkeys(MANY, 1) if "set" in method else MANY]
        return [self.key, 1] if method.lstrip("a") in ("set", "dd") else [self.key]


@pytest.fixture(params=[1, 2], ids=["one copy", "two copies"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    with LocalFleet(3) as fleet:
        yield Scene(fleet, request.param)


@pytest.mark.parametrize(
    "method", ["get", "get_many", "set", "set_many", "add", "delete", "delete_many", "touch", "has_key"]
)
def test_threads(scene: Scene, method: str) -> None:
    """A call that waits in one thread ends as any other if another thread learns that its node is to be left alone."""
    pool = scene.cache.fleet.transport.pools()[scene.node.name]
    assert pool.idle
    scene.node.freeze()
    with ThreadPoolExecutor(1) as executor:
        call = executor.submit(getattr(scene.cache, method), *scene.arguments(method))
        until(lambda: not pool.idle or call.done())
        scene.learn()
        judge(method, call.result())


@pytest.mark.parametrize("method", ["aget", "aget_many", "aset", "aset_many"])
def test_event_loops(scene: Scene, method: str) -> None:
    """A task that waits ends as any other if another one learns that its node is to be left alone."""

    async def learned_meanwhile() -> Any:
        await scene.cache.aget_many(MANY)
        scene.node.freeze()
        task = asyncio.create_task(getattr(scene.cache, method)(*scene.arguments(method)))
        await turn()  # The task has asked by now.
        scene.learn()
        return await task

    judge(method, asyncio.run(learned_meanwhile()))


def judge(method: str, result: Any) -> None:
    """It may be a miss, or a failure as its method tells it, and nothing else."""
    if "get_many" in method:
        assert set(result.values()) == {1} and result.keys() <= set(MANY)
    elif method.endswith("get"):
        assert result in (1, None)
    elif "set_many" in method:
        assert set(result) <= set(MANY)
    else:
        assert result in (True, False, None)
