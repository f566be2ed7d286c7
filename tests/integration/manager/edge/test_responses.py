"""Responses say which tags they used, and for how long an edge may keep them."""

import asyncio
import time

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import RequestFactory, override_settings

from django_dcache import invalidate
from django_dcache.edge import SurrogateKeyMiddleware, use_tags
from django_dcache.errors import ConfigurationError
from support.edges import RULES

get = RequestFactory().get


def answer(view, path="/product/7"):
    return SurrogateKeyMiddleware(view)(get(path))


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


@pytest.mark.parametrize(
    "own", [{"Cache-Control": "max-age=9"}, {"Cache-Control": "public", "Surrogate-Control": "max-age=9"}]
)
def test_a_view_that_says_how_long_itself(own):
    """The same where a view says how long its response may be kept, or nothing does: edges have rules of their own."""

    def view(request):
        cache.get_or_set("k", lambda: 1, tags=["t"])
        if request.GET:
            invalidate(tags=["t"])
        return HttpResponse(headers=own if request.path == "/own/" else {})

    assert answer(view, "/own/")["Cache-Control"] == own["Cache-Control"]
    late = answer(view, "/own/?late=1")
    assert "private" in late["Cache-Control"] and not late.has_header("Surrogate-Control")
    assert not answer(view, "/other/").has_header("Cache-Control")
    assert answer(view, "/other/?late=1")["Cache-Control"] == "private"


def test_more_tags_than_a_header_takes():
    """What can't be purged by all of its tags is not kept at the edge, also if the view says that it may be."""

    def view(request):
        cache.get_or_set("k", lambda: 1, tags=[f"{'t' * 100}{number}" for number in range(90)])
        return HttpResponse(headers={"Cache-Control": "public"} if request.GET else {})

    for path in ("/product/7", "/product/7?own=1"):
        response = answer(view, path)
        assert response["Cache-Control"] == "private" and not response.has_header("Surrogate-Key")


def test_since_when_a_response_may_be_old():
    """A response says when its tags were looked at, as far as it has any."""
    before = time.time()
    checked = answer(lambda request: HttpResponse(str(cache.get_or_set("k", lambda: 1, tags=["t"]))))
    assert before - 0.001 <= float(checked["Surrogate-Checked"]) <= time.time() + 0.001
    assert not answer(lambda request: HttpResponse()).has_header("Surrogate-Checked")


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
