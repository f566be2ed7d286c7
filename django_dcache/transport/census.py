"""Looking through all that a node keeps."""

from collections.abc import Callable

from ..engines.interface import Question
from ..errors import NodeFailure, NodeTimeout, ProtocolViolation
from .pool import Pool, half


def complete(pool: Pool, question: Question, until: float, clock: Callable[[], float]) -> None:
    """Put `question` to a node over a connection of its own, and see the answer to its end. Raises NodeFailure; what
    has begun and takes longer than `until` is a ProtocolViolation, too. A node that has not begun leaves half of the
    time to the next one."""
    begins = clock() + half(until, clock())
    connection, begun = pool.open(max(0.001, begins - clock())), False
    try:
        while (left := (until if begun else begins) - clock()) > 0:
            if question.request:
                connection.send(memoryview(question.request))
                question.request = b""
            connection.poller.poll(left * 1000)
            data = connection.receive()
            begun |= data is not None
            if data is not None and question.feed(data):
                return
        if begun:
            raise ProtocolViolation("there is more than can be looked through in time")
        raise NodeTimeout
    except NodeFailure as failure:
        failure.node = pool.node.name
        raise
    finally:
        connection.close()
