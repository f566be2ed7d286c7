"""How often each product was looked at today. Counted in the cache alone: a lost node costs its counts, no more."""

from contextlib import suppress
from functools import wraps
from heapq import nlargest

from django.core.cache import cache

from catalog.models import Product
from django_dcache.decorators import cached

SECONDS = 24 * 60 * 60
WARMING = "dcache.warming"
"""Marks the requests of `catalog/warmers.py`."""


def key(pk: int) -> str:
    return f"views:{pk}"


def count_view(pk: int) -> None:
    with suppress(ValueError):  # gone again at once, or no node to count on: the page matters more than the number
        try:
            cache.incr(key(pk))
        except ValueError:  # the first view; add leaves alone a count that another request began meanwhile
            cache.add(key(pk), 0, SECONDS)
            cache.incr(key(pk))


def counts_views(view):
    """Count each product page that is shown. Bypasses cache_page, so that views of a cached page count too."""

    @wraps(view)
    def counted(request, pk):
        response = view(request, pk)
        if request.method == "GET" and response.status_code == 200 and WARMING not in request.META:
            count_view(pk)
        return response

    return counted


@cached(600, stale=3600, tags=["products"])
def product_keys() -> list[int]:
    """Return the keys of the products, asked for once until one is added, changed or removed."""
    return list(Product.objects.values_list("pk", flat=True)[:1000])


def most_viewed(limit: int = 4) -> list[Product]:
    """Return the products most looked at, the first first. All counts come in one `get_many`."""
    pks = product_keys()
    views = cache.get_many([key(pk) for pk in pks])
    top = nlargest(limit, (pk for pk in pks if key(pk) in views), key=lambda pk: views[key(pk)])
    products = Product.objects.select_related("category").in_bulk(top)
    return [products[pk] for pk in top]
