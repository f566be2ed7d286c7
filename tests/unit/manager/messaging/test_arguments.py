"""Messages to workers, from a broker that anyone may write to."""

import logging

import pytest
from celery import current_app
from django.test import override_settings

from dcache_manager import tasks  # noqa: F401 (they register themselves)
from dcache_manager.messaging import arguments

QUEUE = "dcache.answers.0123456789abcdef"
LONG = "x" * 10_000_000


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("invalidate", (2**63,)),
        ("invalidate", (-1,)),
        ("invalidate", (True,)),
        ("invalidate", ("1; DROP TABLE",)),
        ("invalidate", ([1],)),
        ("invalidate", ()),
        ("invalidate", (1, 2)),
        ("ping", ("celery", "dcache")),
        ("ping", (QUEUE + "\n", "dcache")),
        ("ping", (QUEUE, "elsewhere")),
        ("ping", (QUEUE, ["dcache"])),
        ("ping", (QUEUE, {})),
        ("warm", (LONG,)),
        ("warm", ("a\x1b[2J",)),
        ("warm", ("books", 7)),
        ("renew", ("shop.prices:price", 7, {})),
        ("renew", ("shop.prices:price", [LONG], {})),
        ("renew", ("shop.prices:price", [7], {"a": LONG})),
        ("renew", ("os:system", ["true"], {})),
        ("rebalance", ("job", 10**12)),
        ("rebalance", ("job", -1)),
        ("rebalance", ({"a": 1},)),
        ("move", ("",)),
        ("move", (None,)),
    ],
)
def test_hostile_messages(caplog, task, said):
    """A message with another type, size or form than ours is dropped, and the log says so without repeating it."""
    with caplog.at_level(logging.WARNING, "dcache_manager"):
        current_app.tasks[f"dcache.{task}"].run(*said)
    (record,) = caplog.records
    assert record.action == "message_dropped" and len(record.getMessage()) < 200


def test_our_messages():
    """What we send is carried out, by place and by name."""
    done = []

    @arguments.checked(number=arguments.number, queue=arguments.known_queue, job=arguments.name_or_none)
    def body(number, queue, job=None):
        done.append((number, queue, job))

    with override_settings(DCACHE={"REGION": "eu", "REGIONS": ["eu", "us"]}):
        body(7, "dcache.us")
        body(8, "dcache.eu", "job")
        body(number=9, queue="dcache.us", job=None)
        body(10, "dcache")
    assert done == [(7, "dcache.us", None), (8, "dcache.eu", "job"), (9, "dcache.us", None)]
