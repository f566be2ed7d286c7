"""Edges: responses say which tags they used, and an invalidation purges the edge through the log."""

import asyncio
import itertools
import json
import threading
import time

import pytest
from celery import Celery
from django.core.cache import cache
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.test import RequestFactory, override_settings

from dcache_manager import edges
from dcache_manager.edge import adapters, purging
from dcache_manager.invalidation import log
from dcache_manager.invalidation.history import entries
from dcache_manager.models import Acknowledgement, Invalidation
from dcache_manager.settings import regions
from django_dcache import invalidate
from django_dcache.edge import SurrogateKeyMiddleware, use_tags
from django_dcache.errors import ConfigurationError
from django_dcache.testing import LocalFleet
from support import varnish
from support.recording_api import Recorder
from support.waiting import until

get = RequestFactory().get
RULES = [("^/product/", 3600, 0)]


@pytest.fixture(scope="module")
def nodes():
    """Two nodes."""
    with LocalFleet(2) as fleet:
        yield fleet


@pytest.fixture(autouse=True)
def site(nodes, tables):
    """A site of one region, whose tasks run where they are sent."""
    Celery("tests", set_as_current=True).conf.update(task_always_eager=True, task_eager_propagates=True)
    entry = {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": nodes.addresses}
    entry |= {"KEY_PREFIX": f"edge{next(numbers)}", "OPTIONS": {"fleet": "edge", "timeout": 5.0}}
    with override_settings(CACHES={"default": entry}, DCACHE={"REGION": "eu"}, DCACHE_EDGE={"rules": RULES}):
        yield


numbers = itertools.count()


def edge(**options):
    """DCACHE with one edge."""
    return override_settings(DCACHE={"REGION": "eu", "EDGES": {"front": options}})


def answer(view, path="/product/7"):
    return SurrogateKeyMiddleware(view)(get(path))


# What responses say


def test_a_response_names_the_tags_it_used():
    """The tags of values that were read, loaded or stored, and those that a view names, are in the header."""
    cache.set("stored", 1, tags=["a", "b c".replace(" ", "-")])

    def view(request):
        use_tags("own,1")
        cache.get("stored")
        cache.get_or_set("loaded", lambda: 2, tags=["é"])
        return HttpResponse()

    assert answer(view)["Surrogate-Key"] == "own%2C1 a b-c %C3%A9"
    with override_settings(DCACHE_EDGE={"header": "Cache-Tag"}):
        assert answer(view)["Cache-Tag"] == "own%2C1,a,b-c,%C3%A9"
    assert not answer(lambda request: HttpResponse()).has_header("Surrogate-Key")


def test_how_long_it_may_be_kept():
    """A rule says how long; a view's own header counts more; what is personal, or no page, is private."""
    plain = answer(lambda request: HttpResponse())
    assert plain["Cache-Control"] == "public, s-maxage=3600, max-age=0"
    assert not answer(lambda request: HttpResponse(), "/cart/").has_header("Cache-Control")
    own = HttpResponse(headers={"Cache-Control": "max-age=5"})
    assert answer(lambda request: own)["Cache-Control"] == "max-age=5"
    personal, missing = HttpResponse(), HttpResponse(status=404)
    personal.set_cookie("a", "b")
    assert [answer(lambda request, it=it: it)["Cache-Control"] for it in (personal, missing)] == ["private"] * 2
    with override_settings(DCACHE_EDGE={"rules": RULES, "control": "Surrogate-Control"}):
        split = answer(lambda request: HttpResponse())
        assert split["Surrogate-Control"] == "max-age=3600" and split["Cache-Control"] == "max-age=0"


def test_what_was_invalidated_meanwhile_is_not_kept():
    """A response that was made of what is invalid by now must not lie in the edge after the purge."""

    def view(request):
        cache.get_or_set("k", lambda: 1, tags=["t"])
        invalidate(tags=["t"])
        return HttpResponse()

    assert answer(view)["Cache-Control"] == "private"


def test_more_tags_than_a_header_takes():
    """What can't be purged by all of its tags is not kept at the edge."""

    def view(request):
        cache.get_or_set("k", lambda: 1, tags=[f"{'t' * 100}{number}" for number in range(90)])
        return HttpResponse()

    response = answer(view)
    assert response["Cache-Control"] == "private" and not response.has_header("Surrogate-Key")


def test_an_asynchronous_site():
    """The middleware serves asynchronous sites as well."""

    async def view(request):
        await cache.aget_or_set("k", lambda: 1, tags=["t"])
        return HttpResponse()

    response = asyncio.run(SurrogateKeyMiddleware(view)(get("/product/7")))
    assert response["Surrogate-Key"] == "t" and "s-maxage" in response["Cache-Control"]


@pytest.mark.parametrize(
    "given", [{"header": "X"}, {"control": "X"}, {"rules": [("(", 1, 2)]}, {"rules": ["/"]}, {"rule": []}]
)
def test_wrong_options(given):
    """A wrong option is an error when the site starts."""
    with override_settings(DCACHE_EDGE=given), pytest.raises(ConfigurationError, match="DCACHE_EDGE"):
        SurrogateKeyMiddleware(lambda request: HttpResponse())


@pytest.mark.parametrize(
    "given",
    [
        {"a b": {}},
        {"a": {"kind": "squid"}},
        {"a": {"kind": "fastly"}},
        {"a": {"kind": "fastly", "urls": ["file:///etc"]}},
        {"a": {"kind": "x.y", "timeout": 0}},
        {"a": {"kind": "x.y", "token": ""}},
        {"a": {"kind": "x.y", "url": ""}},
        [],
    ],
)
def test_wrong_edges(given):
    """A wrong edge is an error that names it."""
    with pytest.raises(ConfigurationError, match="EDGES"):
        edges.parse(given)


# Purging


@pytest.fixture
def api():
    """A server in the place of an edge."""
    with Recorder() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        server.url = f"http://127.0.0.1:{server.server_port}/service/1/purge"
        yield server
        server.shutdown()
        thread.join()


def test_apis(api):
    """Each kind of edge is asked as its documentation says, for at most as many tags at once as it takes."""
    tags = [f"product:{number}" for number in range(60)]
    told = {}
    for kind in edges.KINDS:
        (one,) = edges.parse({"front": {"kind": kind, "urls": [api.url], "token": "s3cret"}})
        adapters.purge(one, tags)
        told[kind], api.asked[:] = list(api.asked), []
        assert "s3cret" not in repr(one)
    ((method, path, headers, _),) = told["fastly"]
    assert (method, path, headers["Fastly-Key"]) == ("POST", "/service/1/purge", "s3cret")
    assert headers["Surrogate-Key"].split() == tags
    asked = [json.loads(body)["tags"] for _, _, _, body in told["cloudflare"]]
    assert asked == [tags[:30], tags[30:]] and told["cloudflare"][0][2]["Authorization"] == "Bearer s3cret"
    ((method, _, headers, _),) = told["varnish-xkey"]
    assert method == "PURGE" and headers["Xkey-Purge"].split() == tags
    ((method, _, headers, _),) = told["varnish-ban"]
    assert method == "BAN" and "|product:7|" in headers["X-Ban-Tags"].replace("\\", "")


def own_function(tags):
    own_function.asked.append(tags)


def shown():
    """The newest entry of the log."""
    return entries("default", 1)[0]


def settle():
    """What beat and the follower do, until nothing is missing."""

    def settled():
        log.catch_up(regions())
        return not any(entry["missing"] for entry in entries("default", 9))

    assert until(settled, seconds=20)


def test_through_the_log():
    """An edge is purged at once, and once more when no old response can be on its way; only then the log is settled.
    Keys are none of its business."""
    own_function.asked = []
    with edge(kind=f"{__name__}.own_function"):
        invalidate(["k"])
        assert not own_function.asked and not shown()["missing"]
        invalidate(tags=["a", "b"])
        assert own_function.asked == [["a", "b"]] and shown()["missing"] == ["edge:front"]
        log.catch_up(regions())
        assert own_function.asked == [["a", "b"]]
        settle()
        assert own_function.asked == [["a", "b"]] * 2
        log.catch_up(regions())
        assert Invalidation.objects.filter(settled=True).count() == 2 and len(own_function.asked) == 2


def test_an_edge_that_refuses(api, caplog):
    """What an edge refuses is tried again, all in one go, until it is done; the log shows it as missing."""
    api.status = 503
    with edge(kind="fastly", urls=[api.url], token="t"):
        for number in range(3):
            invalidate(tags=[f"product:{number}"])
        assert shown()["missing"] == ["edge:front"] and "could not be purged" in caplog.text
        api.status, api.asked[:] = 200, []
        settle()
        asked = [request[2]["Surrogate-Key"].split() for request in api.asked]
        assert set().union(*asked) == {"product:0", "product:1", "product:2"} and len(asked) < 6


def test_a_region_that_is_behind(monkeypatch):
    """Until every region has applied an entry, no purge of it counts: that region may still make old responses."""
    own_function.asked = []
    monkeypatch.setattr(purging, "SETTLE", purging.SETTLE * 0)
    monkeypatch.setattr(purging, "RETRY", purging.RETRY * 0)
    front = {"front": {"kind": f"{__name__}.own_function"}}
    with override_settings(DCACHE={"REGION": "eu", "REGIONS": ["eu", "us"], "EDGES": front}):
        invalidate(tags=["a"])
        log.catch_up(regions())
        assert len(own_function.asked) > 1 and set(shown()["missing"]) == {"us", "edge:front"}
        log.acknowledge(Invalidation.objects.get().pk, "us")
        log.catch_up(regions())
        assert not shown()["missing"] and not Acknowledgement.objects.filter(applied=None).exists()


@pytest.mark.skipif(varnish.MISSING is not None, reason=str(varnish.MISSING))
def test_a_real_varnish():
    """What Varnish keeps is gone within a second of the commit, and nothing old is served after that; with Varnish
    hung it is gone soon after its return."""
    row = {"price": 1}

    def view(request):
        return HttpResponse(cache.get_or_set("price", lambda: row["price"], tags=["product:7"]))

    def application(environ, start_response):
        response = SurrogateKeyMiddleware(view)(WSGIRequest(environ))
        start_response(f"{response.status_code} OK", list(response.items()))
        return [response.content]

    with varnish.origin(application) as port:
        front = varnish.Varnish(port)
        try:
            with edge(kind="varnish-ban", urls=[front.url]):
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
        finally:
            front.stop()
