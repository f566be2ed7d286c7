"""What is stale is loaded anew by a worker."""

from contextlib import closing

import pytest
from celery import Celery
from django.core.cache import cache
from django.test import override_settings

from dcache_manager.messaging import publisher
from django_dcache.decorators import cached
from django_dcache.testing import LocalFleet
from support.celery_site.site import Site
from support.servers import Broker
from support.waiting import until

loads = []


@cached(0.2, stale=60, key="offer:{pk}", in_task=True)
def offer(pk):
    """Counts its calls."""
    loads.append(pk)
    return len(loads)


@pytest.fixture
def stale_offer(monkeypatch):
    """A site on a node, whose `offer` of 7 is stale, with a broker that has not failed yet."""
    loads.clear()
    Celery("tests", set_as_current=True).conf.update(task_always_eager=False)
    monkeypatch.setattr(publisher, "_resting_until", float("-inf"))
    with LocalFleet(1) as nodes:
        entry = {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": nodes.addresses}
        with override_settings(CACHES={"default": entry | {"OPTIONS": {"timeout": 5.0}}}):
            assert offer(7) == 1
            assert until(lambda: cache.get("offer:7") is None)
            yield


def test_a_worker_is_sent_for(stale_offer, monkeypatch):
    """The reader that finds a stale value gets it, and sends one message; a worker that is given it loads."""
    sent = []
    monkeypatch.setattr(publisher, "_publish", lambda *message: sent.append(message))
    assert [offer(7), offer(7)] == [1, 1] and len(sent) == 1
    task, arguments, _, _ = sent[0]
    publisher._eager(task)(*arguments)
    assert loads == [7, 7] and offer(7) == 2


VISIT = """
import os
import django
django.setup()
from django.core.cache import cache
from support.celery_site.offers import offer
from support.celery_site.site import Site
from support.servers import Broker
from support.waiting import until
assert offer(7) == os.getpid()
assert until(lambda: cache.get("offer:7") is None)
assert offer(7) == os.getpid(), "a visitor waits for nobody"
assert until(lambda: offer(7) != os.getpid(), seconds=120)
print(offer(7))
"""


def test_a_live_worker(tmp_path):
    """A visitor gets the old value, and a worker's process, told by a real broker, makes the new one."""
    with LocalFleet(1) as nodes, closing(Broker()) as broker:
        broker.start()
        with closing(Site(tmp_path, nodes.addresses, broker.url)) as site:
            site.work(1)
            assert int(site.python(VISIT)) in site.children()


def test_a_broker_that_is_away(stale_offer, monkeypatch):
    """Where the broker takes no message the reader loads."""
    monkeypatch.setattr(publisher, "_publish", lambda *message: 1 / 0)
    assert offer(7) == 2 and loads == [7, 7]
