"""Looking through all that a node keeps."""

from collections.abc import Callable

from ..engines.interface import Question
from ..errors import NodeFailure, NodeTimeout
from .pool import Pool


def complete(pool: Pool, question: Question, until: float, clock: Callable[[], float]) -> None:
    """Put `question` to a node over a connection of its own, and see the answer to its end. Raises NodeFailure."""
    connection = pool.open(max(0.001, until - clock()))
    try:
        connection.send(memoryview(question.request))
        while (left := until - clock()) > 0:
            connection.poller.poll(left * 1000)
            data = connection.receive()
            if data is not None and question.feed(data):
                return
        raise NodeTimeout(node=pool.node.name)
    except NodeFailure as failure:
        failure.node = pool.node.name
        raise
    finally:
        connection.close()
