"""What is worth having in the cache before the first visitor asks: `dcache-admin warm run --tag catalog`."""

import os
from functools import partial

from catalog import offers
from catalog.models import Category, Product
from dcache_manager.warming import Fragment, View, warmer

HOST = os.environ.get("SHOP_HOST", "127.0.0.1:8000")
"""What visitors' browsers send: a page is cached under its whole address."""


@warmer("offers", every=300, depends_on_tags=["catalog"], timeout=offers.SECONDS)
def warm_offers():
    """The keys that `offers.offer` reads. A loader runs only for one that is missing, and under its lease."""
    for pk in Product.objects.values_list("pk", flat=True).iterator():
        yield offers.key(pk), partial(offers.load, pk)


@warmer("cards", depends_on_tags=["catalog"])
def warm_cards():
    """The fragments of the product lists, rendered by the template that the pages include."""
    for product in Product.objects.select_related("category").iterator():
        yield Fragment("card", [product.pk, product.revision], "catalog/card.html", {"product": product})


@warmer("pages", depends_on_tags=["catalog"])
def warm_pages():
    """The front page, the shelves and every product page, as a visitor gets them."""
    yield View("/", host=HOST)
    for shown in [*Category.objects.all(), *Product.objects.all()]:
        yield View(shown.get_absolute_url(), host=HOST)
