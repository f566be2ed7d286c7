"""Whether messages arrive: the broker answers, and workers consume what is put into the queue of each region.

A worker answers over the broker too, so that neither a result backend nor a database is needed.
"""

import queue
import secrets
import threading
import time
from typing import Any

from celery import current_app
from kombu.entity import Queue

from ..messaging.publisher import TIMEOUT_SECONDS, patient
from ..settings import own_queue, regions
from ..settings import queue as queue_of
from .finding import Finding

_no_server = ("memory", "filesystem")
"""Brokers for development."""
POLL_SECONDS = 0.02
"""Between two looks for answers."""


def findings(seconds: float, debug: bool) -> list[Finding]:
    """The findings about the broker, the workers and the broadcast, `seconds` and a moment from now at the latest.

    `debug`: whether this is a project in development.
    """
    if current_app.conf.task_always_eager:
        return [Finding("broker", None, "ok", "not needed: tasks run where they are sent (task_always_eager)")]
    if not (current_app.conf.broker_write_url or current_app.conf.broker_url):
        return [Finding("broker", None, "ok", "none, or this project's settings do not load its Celery app")]
    connection = current_app.connection_for_write(connect_timeout=min(seconds, 4 * TIMEOUT_SECONDS))
    found: queue.SimpleQueue[list[Finding]] = queue.SimpleQueue()
    deadline = time.monotonic() + seconds
    # A daemon: a name server that does not answer can't be interrupted, and must not be waited for.
    threading.Thread(target=lambda: found.put(_examine(connection, deadline, debug)), daemon=True).start()
    try:
        return found.get(timeout=seconds + 2 * TIMEOUT_SECONDS)
    except queue.Empty:
        return [_unreachable(connection, f"no answer within {seconds:g} s")]


def answer(answer_to: str, asked: str) -> None:
    """Say to the queue `answer_to` that what was put into the queue `asked` has arrived, and at whose worker."""
    with current_app.producer_or_acquire() as producer:
        said = {"asked": asked, "queue": own_queue()}
        producer.publish(said, exchange="", routing_key=answer_to, serializer="json", retry=False)


def _examine(connection: Any, deadline: float, debug: bool) -> list[Finding]:
    where, began = connection.as_uri(), time.monotonic()
    try:
        with patient(connection) as connection:
            channel = connection.ensure_connection(max_retries=0).channel()
            took = time.monotonic() - began
            found = [Finding("broker", None, "ok", f"{where} in {took * 1000:.1f} ms")]
            if connection.transport.driver_type in _no_server and not debug:
                fix = "set broker_url to a Redis or RabbitMQ"
                found = [Finding("broker", None, "warn", f"{where} is for development, and DEBUG is off", fix)]
            return found + _judge(_ask(connection, channel, deadline), deadline - began)
    except Exception as error:  # Whatever a broker's client raises: there is no common class.
        return [_unreachable(connection, str(error) or type(error).__name__)]


def _ask(connection: Any, channel: Any, deadline: float) -> dict[str, tuple[str, float] | None]:
    """By queue: that of the worker that answered, and after how many seconds; None where none did."""
    known = regions()
    asked: dict[str, tuple[str, float] | None] = {own_queue(): None}
    asked |= {queue_of(region): None for region in (known.others if known else ())}
    name = f"dcache.answers.{secrets.token_hex(8)}"
    answers: Any = Queue(name, exclusive=True, durable=False, auto_delete=True)(channel)
    answers.declare()
    try:
        began = time.monotonic()
        for name in asked:
            left = max(1.0, deadline - began)
            current_app.send_task(
                "dcache.ping",
                (answers.name, name),
                queue=name,
                connection=connection,
                retry=False,
                expires=left,
                ignore_result=True,
            )
        while None in asked.values() and time.monotonic() < deadline:
            message = answers.get(no_ack=True)
            if message is None:
                time.sleep(POLL_SECONDS)
            elif message.payload["asked"] in asked:
                asked[message.payload["asked"]] = message.payload["queue"], time.monotonic() - began
    finally:
        answers.delete()
    return asked


def _judge(asked: dict[str, tuple[str, float] | None], seconds: float) -> list[Finding]:
    own, *others = asked
    found = [_worker("worker", own, asked[own], seconds)]
    if others:
        found += [finding for name in asked if (finding := _worker("broadcast", name, asked[name], seconds)).fix]
        if len(found) == 1:
            slowest = max(took for _, took in filter(None, asked.values()))
            found.append(Finding("broadcast", None, "ok", f"every region answered within {slowest * 1000:.0f} ms"))
    return found


def _worker(check: str, name: str, said: tuple[str, float] | None, seconds: float) -> Finding:
    if said is None:
        detail = f"no worker consumed a task from queue {name!r} within {seconds:.1f} s"
        fix = f"start one: `celery -A APP worker -Q {name}`; or the running workers are busy"
        return Finding(check, None, "warn", detail, fix)
    answered, took = said
    if answered != name:
        detail = f"a worker whose own queue is {answered!r} consumes {name!r}"
        return Finding(check, None, "fail", detail, "start it with -Q of its own region (DCACHE)")
    return Finding(check, None, "ok", f"a task in {name!r} was consumed after {took * 1000:.0f} ms")


def _unreachable(connection: Any, why: str) -> Finding:
    return Finding("broker", None, "fail", f"{connection.as_uri()}: {why}", "start it, or correct broker_url")
