"""A real varnishd keeps nothing that is old."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.core.cache import cache
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse

from dcache_manager.invalidation import log
from dcache_manager.settings import regions
from django_dcache import invalidate
from django_dcache.edge import SurrogateKeyMiddleware
from support import varnish
from support.edges import edge, settle, shown
from support.waiting import until

pytestmark = pytest.mark.skipif(varnish.MISSING is not None, reason=str(varnish.MISSING))


@contextmanager
def shop_behind_varnish(row, sent=lambda: None):
    """A Varnish that is purged, before a page that shows a price. `sent` is called when the middleware is done with a
    response, which then leaves."""

    def view(request):
        return HttpResponse(cache.get_or_set("price", lambda: row["price"], tags=["product:7"]))

    def application(environ, start_response):
        response = SurrogateKeyMiddleware(view)(WSGIRequest(environ))
        sent()
        start_response(f"{response.status_code} OK", list(response.items()))
        return [response.content]

    with varnish.origin(application) as port:
        front = varnish.Varnish(port)
        try:
            with edge(kind="varnish-ban", urls=[front.url]):
                yield front
        finally:
            front.stop()


def test_a_response_that_arrives_after_the_last_purge():
    """A worker that stands still for seconds with a response that is nearly out does not bring back what is old."""
    row, leaves, purged = {"price": 1}, threading.Event(), threading.Event()

    def sent():
        leaves.set()
        assert purged.wait(60)

    with shop_behind_varnish(row, sent) as front, ThreadPoolExecutor() as pool:
        old = pool.submit(front.get, "product/7")
        assert leaves.wait(60)
        row["price"] = 2
        invalidate(tags=["product:7"])
        settle()
        purged.set()
        assert old.result() == ("1", False)
        assert [front.get("product/7") for _ in range(3)] == [("2", False), ("2", True), ("2", True)]


def test_a_real_varnish():
    """What Varnish keeps is gone within a second of the commit, and nothing old is served after that; with Varnish
    hung it is gone soon after its return."""
    row = {"price": 1}
    with shop_behind_varnish(row) as front:
        assert [front.get("product/7") for _ in range(3)] == [("1", False), ("1", True), ("1", True)]
        row["price"] = 2
        began = time.monotonic()
        invalidate(tags=["product:70"])
        assert front.get("product/7") == ("1", True)
        invalidate(tags=["product:7"])
        assert until(lambda: front.get("product/7")[0] == "2", seconds=10) and time.monotonic() - began < 1
        settle()
        assert {front.get("product/7")[0] for _ in range(50)} == {"2"}
        front.pause()
        row["price"] = 3
        invalidate(tags=["product:7"])
        assert shown()["missing"] == ["edge:front"]
        front.resume()
        assert until(lambda: log.catch_up(regions()) is not None and front.get("product/7")[0] == "3")
        settle()
        assert {front.get("product/7") for _ in range(50)} == {("3", True)}
