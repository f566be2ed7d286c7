"""Pages of a site whose cache is asked for many keys: for what fetches them beforehand."""

from django.core.cache import caches
from django.http import HttpResponse
from django.template import Context, Template
from django.urls import path
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import cache_page

from django_dcache.prefetch import prefetch_keys
from django_dcache.runtime import prefetched
from django_dcache.views import cache_page as cache_tagged_page

KEYS = 20


def values(pk):
    """The keys of a page, and what they hold."""
    return {f"product:{pk}:{number}": f"{pk}/{number}" for number in range(KEYS - 1)} | {"banner": "sale"}


def page(request, pk):
    """Reads twenty keys, one after the other."""
    return HttpResponse(" ".join(str(caches["default"].get(key)) for key in values(pk)))


async def apage(request, pk):
    """The same on an event loop."""
    return HttpResponse(" ".join([str(await caches["default"].aget(key)) for key in values(pk)]))


@cache_page(60)
def whole(request, pk):
    """Is cached as a whole, and in parts."""
    text = "{% load cache %}{% cache 60 part pk %}{{ pk }}{% endcache %}"
    return HttpResponse(Template(text).render(Context({"pk": pk})))


@cache_tagged_page(60, tags=lambda request, pk: [f"page:{pk}"])
def in_a_language(request, pk):
    """Is cached as a whole, with a tag, in one form for each language that a browser asks for."""
    response = HttpResponse(str(pk))
    patch_vary_headers(response, ["Accept-Language"])
    return response


def tagged(request, pk):
    """Reads eight keys, and the page."""
    caches["default"].get("banner")
    for number in range(7):
        caches["default"].get(f"product:{pk}:{number}")
    return in_a_language(request, pk)


def of_the_visitor(request):
    """Reads the session, and what belongs to its user."""
    user = request.session.get("_auth_user_id")
    return HttpResponse(f"{user} {caches['default'].get(f'greeting:{user}')} {caches['default'].get('news')}")


def news(request):
    """Reads something else before the session."""
    return HttpResponse(f"{caches['default'].get('news')} {request.session.get('_auth_user_id')}")


def log_in(request, pk):
    """As django.contrib.auth does."""
    request.session["_auth_user_id"] = str(pk)
    return HttpResponse()


@prefetch_keys("product:{pk}:0", "product:{pk}:1", "greeting:{user}", lambda request, pk: [f"product:{pk}:2"])
def declared(request, pk):
    """Says by itself what it reads."""
    return HttpResponse(" ".join(str(caches["default"].get(f"product:{pk}:{number}")) for number in range(3)))


@prefetch_keys("product:{pk}:0", "product:{pk}:1")
async def adeclared(request, pk):
    """The same on an event loop."""
    return HttpResponse(" ".join([str(await caches["default"].aget(f"product:{pk}:{number}")) for number in range(2)]))


def changing(request, pk):
    """Reads, writes and reads again."""
    cache = caches["default"]
    before = [cache.get(f"count:{pk}"), cache.get("banner")]
    cache.set(f"count:{pk}", (before[0] or 0) + 1)
    return HttpResponse(f"{before[0]} {cache.get(f'count:{pk}')}")


def small(request, pk):
    """Reads one key, and shows whether the request is watched."""
    cache = caches["default"]
    return HttpResponse(f"{cache.get('banner')} {prefetched.of(cache.fleet) is not None}")


def looked(request):
    """Reads nothing, and shows whether the request is looked at."""
    return HttpResponse(str(prefetched.of_request() is not None))


def failing(request, pk):
    """Has a fault."""
    caches["default"].get("banner")
    raise ValueError(pk)


urlpatterns = [
    path("page/<int:pk>", page),
    path("apage/<int:pk>", apage),
    path("whole/<int:pk>", whole),
    path("tagged/<int:pk>", tagged),
    path("visitor", of_the_visitor),
    path("news", news),
    path("login/<int:pk>", log_in),
    path("declared/<int:pk>", declared),
    path("adeclared/<int:pk>", adeclared),
    path("changing/<int:pk>", changing),
    path("failing/<int:pk>", failing),
    path("small/<int:pk>", small),
    path("looked", looked),
]
