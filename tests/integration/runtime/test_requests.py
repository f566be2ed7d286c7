"""Connections survive requests: a thread that serves a hundred of them opens one to each node."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.core.cache import cache, caches
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test import RequestFactory, override_settings
from django.urls import path

from django_dcache.testing import LocalFleet

REQUESTS = 100
KEYS = [f"key-{number}" for number in range(30)]


def view(request):
    """Uses every node."""
    cache.set_many(dict.fromkeys(KEYS, request.GET["n"]))
    found = cache.get_many(KEYS)
    for key in KEYS:
        cache.set(key, request.GET["n"])
        cache.get(key)
    cache.delete_many(KEYS[:5])
    return HttpResponse(f"{len(found)}")


urlpatterns = [path("", view)]


@pytest.fixture
def nodes():
    """Three nodes."""
    with LocalFleet(3) as fleet:
        yield fleet.nodes


@pytest.fixture
def serve(nodes):
    """Serves requests by Django's handler, as a WSGI server would."""
    backend = "django_dcache.backend.DistributedCache"
    location = [node.address for node in nodes]
    default = {"BACKEND": backend, "LOCATION": location, "OPTIONS": {"timeout": 5.0, "request_budget": 3600}}
    with override_settings(CACHES={"default": default}, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"]):
        handler = WSGIHandler()

        def serve(number=0):
            environ = RequestFactory().get(f"/?n={number}").environ
            response = handler(environ, lambda status, headers: None)
            body = b"".join(response)
            response.close()
            return body

        yield serve
        caches["default"].fleet.close()


def connections(nodes):
    """How many connections each node has accepted so far."""
    return [int(node.stats()["total_connections"]) for node in nodes]


def test_one_thread(nodes, serve):
    """A hundred requests in one thread open one connection to each node."""
    before = connections(nodes)
    for number in range(REQUESTS):
        assert serve(number) == b"30"
    assert [after - count - 1 for after, count in zip(connections(nodes), before, strict=True)] == [1, 1, 1]


def test_several_threads(nodes, serve):
    """A hundred requests in four threads open four connections to each node at most."""
    serve()
    before = connections(nodes)
    start = Barrier(4)

    def work(thread):
        start.wait()
        return {serve(number) for number in range(REQUESTS // 4)}

    with ThreadPoolExecutor(4) as threads:
        assert len(list(threads.map(work, range(4)))) == 4
    assert all(after - count - 1 <= 3 for after, count in zip(connections(nodes), before, strict=True))


def test_what_stays_open(nodes, serve):
    """After a request its connections are open and idle."""
    before = [int(node.stats()["curr_connections"]) for node in nodes]
    serve()
    pools = caches["default"].fleet.transport.pools().values()
    assert [len(pool.idle) for pool in pools] == [1, 1, 1]
    after = [int(node.stats()["curr_connections"]) for node in nodes]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 1]
