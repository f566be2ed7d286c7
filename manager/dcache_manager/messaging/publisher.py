"""Sending tasks by name, without ever waiting for a broker longer than a moment.

A message that can't be sent is logged, and that is all: what has to be done is in the database, where catch_up finds
the entries of the log, and tend the jobs.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from celery import current_app
from celery.app.utils import find_app

from django_dcache.errors import ConfigurationError

log = logging.getLogger("dcache_manager")

TIMEOUT_SECONDS = 0.5
"""That connecting to the broker, or one exchange with it, may take."""
REST_SECONDS = 5.0
"""For which a broker that failed is left alone by this process."""
MAX_CONNECTIONS = 10

# By kombu's name for the protocol: how its client is told to give up soon, and not to try again.
_patience: dict[str, dict[str, Any]] = {
    "redis": {"socket_timeout": TIMEOUT_SECONDS, "socket_connect_timeout": TIMEOUT_SECONDS, "max_retries": 0},
    "amqp": {"read_timeout": TIMEOUT_SECONDS, "write_timeout": TIMEOUT_SECONDS, "max_retries": 0},
}

_lock = threading.Lock()  # protects _pools
_pools: dict[int, Any] = {}
_resting_until = float("-inf")


def use_app(name: str) -> None:
    """Send by this Celery application from now on: its name as `celery -A` takes it. Raises ConfigurationError."""
    try:
        app = find_app(name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"-A {name}: there is no Celery application: {error}") from error
    app.set_current()
    app.set_default()


def send(
    task: str,
    *arguments: Any,
    queue: str,
    countdown: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Send one message; whether the broker took it. Raises nothing but what an eager task raises."""
    global _resting_until
    if current_app.conf.task_always_eager:
        _eager(task).apply_async(arguments)
        return True
    if clock() < _resting_until:
        return False
    try:
        _publish(task, arguments, queue, countdown or None)
    except Exception as error:  # Whatever a broker's client raises: there is no common class.
        _resting_until = clock() + REST_SECONDS
        words = "The broker did not take %s%r: %s"
        log.warning(words, task, arguments, error, extra={"action": "not_sent", "task": task})
        return False
    return True


def broadcast(task: str, *arguments: Any, queues: Iterable[str]) -> None:
    """Send one message to each queue; an eager task runs once."""
    for queue in queues:
        if send(task, *arguments, queue=queue) and current_app.conf.task_always_eager:
            return


def _eager(task: str) -> Any:
    # By its name, as a worker finds it: tasks import the services, and these import this module.
    import_module("dcache_manager.tasks")
    return current_app.tasks[task]


def _publish(task: str, arguments: tuple[Any, ...], queue: str, countdown: float | None) -> None:
    pool = _pool()
    connection = pool.acquire(block=True, timeout=TIMEOUT_SECONDS)
    try:
        current_app.send_task(
            task,
            arguments,
            queue=queue,
            countdown=countdown,
            connection=connection,
            retry=False,
            ignore_result=True,
        )
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
            connection = patient(current_app.connection_for_write(connect_timeout=TIMEOUT_SECONDS))
            _pools[os.getpid()] = connection.Pool(limit=MAX_CONNECTIONS)
        return _pools[os.getpid()]


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork_in_child)
