"""Locks."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from django_dcache.lock import LockLost, LockNotTaken

replicas = pytest.mark.parametrize("replicas", [1, 2])


@replicas
def test_one_holder(cache_of, replicas):
    """Callers in threads take turns, and each has a higher number than the one before."""
    cache = cache_of(replicas)
    inside, fences = [], []

    def work(_):
        for _ in range(5):
            with cache.lock("job", timeout=60, sleep=0.01) as lock:
                inside.append(1)
                assert len(inside) == 1
                fences.append(lock.fence)
                inside.pop()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert len(fences) == 20 and fences == sorted(set(fences))
    assert not cache.lock("job").locked()


@replicas
def test_one_task(cache_of, replicas):
    """So do tasks of an event loop, who may share one object."""
    cache = cache_of(replicas)

    async def main():
        lock, inside, fences = cache.alock("job", timeout=60, sleep=0.01), [], []

        async def work():
            for _ in range(5):
                async with lock:
                    inside.append(1)
                    assert len(inside) == 1 and await lock.aowned() and await lock.alocked()
                    fences.append(lock.fence)
                    await lock.aextend(30)
                    inside.pop()

        await asyncio.gather(*(work() for _ in range(4)))
        assert len(fences) == 20 and fences == sorted(set(fences))

    asyncio.run(main())


@replicas
def test_refused(cache_of, replicas):
    """A lock that is held is refused at once, or after the time that was given, and can't be released by others."""
    cache = cache_of(replicas)
    mine, other = cache.lock("job", timeout=60), cache.lock("job", timeout=60)
    assert mine.acquire() and mine.owned() and other.locked() and not other.owned()
    assert not other.acquire(blocking=False)
    began = time.monotonic()
    assert not other.acquire(blocking_timeout=0.2) and time.monotonic() - began >= 0.2
    with pytest.raises(LockNotTaken), cache.lock("job", blocking=False):
        pass
    with pytest.raises(LockLost):
        other.release()
    mine.release()
    with pytest.raises(LockLost):
        mine.release()


@replicas
def test_lost(cache_of, replicas):
    """Who comes back after the lock was lost is told, and leaves the next holder alone; its number is the lower one."""
    cache = cache_of(replicas)
    first, second = cache.lock("job", timeout=60), cache.lock("job", timeout=60)
    assert first.acquire()
    cache.delete("job")
    assert second.acquire() and first.fence < second.fence
    with pytest.raises(LockLost):
        first.extend()
    with pytest.raises(LockLost):
        first.release()
    assert second.owned()
    second.extend(3600)
    assert cache.ttl("job") > 3500
    second.release()


def test_numbers_rise_when_they_are_lost(cache_of):
    """A number that was evicted is followed by a higher one."""
    cache = cache_of()
    with cache.lock("job") as lock:
        before = lock.fence
    cache.delete("job:fence")
    with cache.lock("job") as lock:
        assert lock.fence > before


def test_bad_timeouts(cache_of):
    """A lock that would be over before it begins is an error."""
    with pytest.raises(ValueError, match="more than 0"):
        cache_of().lock("job", timeout=0)
