"""Sending messages without ever waiting for a broker longer than a moment.

A message that can't be sent is logged and counted, and that is all: what has to be done is in the database, where
catch_up finds the entries of the log, and tend the jobs.
"""

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from celery import current_app

from ..settings import queue

log = logging.getLogger("dcache_manager")

MOMENT = 0.5
"""Seconds that connecting to the broker, or one exchange with it, may take."""
REST = 5.0
"""Seconds for which a broker that failed is left alone by this process."""
CONNECTIONS = 10

counters: Counter[str] = Counter()
"""Messages of this process: sent, failed, skipped (not tried, because the broker had just failed)."""

# By kombu's name for the protocol: how its client is told to give up soon, and not to try again.
_patience: dict[str, dict[str, Any]] = {
    "redis": {"socket_timeout": MOMENT, "socket_connect_timeout": MOMENT, "max_retries": 0},
    "amqp": {"read_timeout": MOMENT, "write_timeout": MOMENT, "max_retries": 0},
}

_lock = threading.Lock()  # protects _pools
_pools: dict[int, Any] = {}
_tired_until = float("-inf")


def send(number: int, regions: tuple[str, ...], clock: Callable[[], float] = time.monotonic) -> list[str]:
    """Put entry `number` into the queue of each region; those that could not be told. Raises nothing."""
    global _tired_until
    from ..tasks import invalidate

    if current_app.conf.task_always_eager:
        invalidate.apply_async((number,))
        return []
    missed = list(regions)
    if clock() < _tired_until:
        counters["skipped"] += len(missed)
        return missed
    try:
        for region in regions:
            _publish(invalidate, (number,), queue(region))
            missed.remove(region)
            counters["sent"] += 1
    except Exception as error:  # Whatever a broker's client raises: there is no common class.
        _tired_until = clock() + REST
        counters["failed"] += len(missed)
        log.warning(
            "The broker could not be told of entry %d (%s); %s will find it in the log.",
            number,
            error,
            ", ".join(missed),
            extra={"action": "broadcast_failed", "number": number},
        )
    return missed


def tell(task: Any, *arguments: Any, queue: str, countdown: float = 0.0) -> bool:
    """Send one message; whether it was sent. Raises nothing but what an eager task raises."""
    global _tired_until
    if current_app.conf.task_always_eager:
        task.apply_async(arguments)
        return True
    if time.monotonic() < _tired_until:
        counters["skipped"] += 1
        return False
    try:
        _publish(task, arguments, queue, countdown=countdown or None)
    except Exception as error:  # Whatever a broker's client raises: there is no common class.
        _tired_until = time.monotonic() + REST
        counters["failed"] += 1
        words = "The broker could not be told of %s%r (%s)."
        log.warning(words, task.name, arguments, error, extra={"action": "not_told", "task": task.name})
        return False
    counters["sent"] += 1
    return True


def _publish(task: Any, arguments: tuple[Any, ...], queue: str, **options: Any) -> None:
    pool = _pool()
    connection = pool.acquire(block=True, timeout=MOMENT)
    try:
        task.apply_async(arguments, queue=queue, connection=connection, retry=False, ignore_result=True, **options)
    except BaseException:
        pool.replace(connection)  # Part of the message may have left.
        raise
    connection.release()


def patient(connection: Any) -> Any:
    """`connection`, not opened yet, as one that gives up after a moment."""
    connection.transport_options |= _patience.get(connection.transport.driver_type, {})
    return connection


def _pool() -> Any:
    """The connections of this process; a fork's parent has its own."""
    with _lock:
        if os.getpid() not in _pools:
            _pools.clear()
            connection = patient(current_app.connection_for_write(connect_timeout=MOMENT))
            _pools[os.getpid()] = connection.Pool(limit=CONNECTIONS)
        return _pools[os.getpid()]


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork_in_child)
