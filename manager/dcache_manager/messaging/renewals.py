"""Handing over to a worker what is stale: it loads it anew, and no visitor waits for that."""

import logging
from typing import Any

from django_dcache import decorators

from ..settings import own_queue
from . import publisher

log = logging.getLogger("dcache_manager")


def send(function: str, args: list[Any], kwargs: dict[str, Any]) -> bool:
    """Whether the broker took the message."""
    return publisher.send("dcache.renew", function, args, kwargs, queue=own_queue())


def renew(function: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    """What such a message asks for."""
    if not decorators.renew(function, args, kwargs):
        words = "A message to dcache.renew was dropped: no function with in_task is called so on this site."
        log.warning(words, extra={"action": "message_dropped", "task": "dcache.renew"})
