"""cache_page and {% dcache %}: pages and fragments under a lease, with tags."""

import asyncio
import itertools
import threading
from types import SimpleNamespace

import pytest
from django.http import HttpResponse
from django.template import Context, Engine
from django.test import RequestFactory

from django_dcache.invalidation import delete, of_tags
from django_dcache.views import cache_page

numbers = itertools.count()
get = RequestFactory().get


def invalidate(*tags):
    assert not delete(of_tags("default", tags))


def page(view, request=None, *args):
    return view(request or get("/"), *args).content.decode()


def test_a_page(counted):
    """A page is made once for each URL, and again once one of its tags is invalidated."""
    view = cache_page(60, tags=lambda request, pk: [f"product:{pk}"])(counted)
    assert [page(view, get("/7"), 7), page(view, get("/7"), 7), page(view, get("/8"), 8)] == ["1", "1", "2"]
    invalidate("product:7")
    assert [page(view, get("/7"), 7), page(view, get("/8"), 8)] == ["3", "2"]
    assert page(view, RequestFactory().post("/8"), 8) == "4"


def test_an_asynchronous_page():
    """The view may be a coroutine function."""
    calls = itertools.count(1)

    @cache_page(60, tags=["t"])
    async def view(request):
        return HttpResponse(f"{next(calls)}")

    async def visit():
        return [(await view(get("/"))).content for _ in range(3)]

    assert asyncio.run(visit()) == [b"1"] * 3
    invalidate("t")
    assert asyncio.run(visit()) == [b"2"] * 3


def test_a_page_is_invalidated_with_what_it_was_made_of(cache):
    """A page has the tags of the tagged values that it was made of, from its first response on."""
    parts = itertools.count(1)
    view = cache_page(60)(lambda request: HttpResponse(cache.get_or_set("part", lambda: next(parts), tags=["inner"])))
    assert page(view) == page(view) == "1"
    invalidate("inner")
    assert page(view) == page(view) == "2"
    invalidate("inner")
    assert page(view) == "3"


def test_what_was_loaded_before_an_invalidation_is_no_page():
    """An invalidation while the page is made makes what comes of it a miss: the first response of a page, too."""
    calls = itertools.count(1)

    def made(request):
        number = next(calls)
        if number < 3:
            invalidate("t")
        return HttpResponse(f"{number}")

    view = cache_page(60, tags=["t"])(made)
    assert [page(view) for _ in range(4)] == ["1", "2", "3", "3"]


def test_headers_that_it_varies_on():
    """A page is kept for each value of the headers that it names in Vary."""
    calls = itertools.count(1)

    def made(request):
        return HttpResponse(f"{request.headers.get('X-Shop')} {next(calls)}", headers={"Vary": "X-Shop"})

    view = cache_page(60)(made)
    shops = ["a", "b", "a", "b"]
    assert [page(view, get("/", headers={"X-Shop": shop})) for shop in shops] == ["a 1", "b 2", "a 1", "b 2"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda request, response: response.set_cookie("a", "b"),
        lambda request, response: response.headers.__setitem__("Cache-Control", "private"),
        lambda request, response: response.headers.__setitem__("Vary", "*"),
        lambda request, response: setattr(response, "status_code", 404),
        lambda request, response: request.META.update({"CSRF_COOKIE_NEEDS_UPDATE": True}),
    ],
)
def test_what_is_no_page_for_others(counted, spoil):
    """A response that is private, sets a cookie or is an error is not kept, and requests do not wait for each other."""

    def made(request):
        response = counted()
        spoil(request, response)
        return response

    view = cache_page(60)(made)
    assert [page(view) for _ in range(3)] == ["1", "2", "3"]


def test_a_page_of_a_session(counted):
    """A page that looked at the session is kept for each cookie."""

    def made(request):
        request.session = SimpleNamespace(accessed=True)
        return counted()

    view = cache_page(60)(made)
    cookies = ["a", "b", "a"]
    assert [page(view, get("/", headers={"Cookie": cookie})) for cookie in cookies] == ["1", "2", "1"]


def test_many_requests_for_a_cold_page():
    """Of 20 requests for a page that was never made one makes it."""
    calls, barrier, results = itertools.count(1), threading.Barrier(20), []

    def made(request):
        threading.Event().wait(0.2)
        return HttpResponse(f"{next(calls)}")

    view = cache_page(60, tags=["t"], stale=60)(made)

    def visit():
        barrier.wait()
        results.append(page(view))

    threads = [threading.Thread(target=visit) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["1"] * 20


# {% dcache %}


def test_a_fragment():
    """A fragment is rendered once for what it varies on, until one of its tags is invalidated."""
    engine = Engine(libraries={"dcache": "django_dcache.templatetags.dcache"})
    source = '{% load dcache %}{% dcache 60 "side" user tags=tags stale=5 %}{{ calls.pop }}{% enddcache %}'
    calls, template = [3, 2, 1], engine.from_string(source)

    def render(user, tags="a b"):
        return template.render(Context({"calls": calls, "user": user, "tags": tags}))

    assert [render(1), render(1), render(2, ["c"])] == ["1", "1", "2"]
    invalidate("b")
    assert [render(1), render(2)] == ["3", "2"]
