"""A product's offer (revision and price), read through the cache and never staler than the last acknowledged change."""

from functools import partial

from django.core.cache import cache
from django.db import transaction
from django.db.models.signals import post_delete, post_save

from catalog.models import Product

SECONDS = 600


def key(pk: int) -> str:
    return f"offer:{pk}"


def offer(pk: int) -> dict:
    """Return `{"id", "revision", "price"}`. Raises Product.DoesNotExist.

    DistributedCache takes a lease before it calls the loader, and a delete in between voids the lease: what the loader
    read is then returned but not kept. On Django's own backends get_or_set is a get, a load and an add. There this
    race is open: we load revision 1; a writer commits revision 2 and deletes; we add revision 1, for ten minutes.
    """
    return cache.get_or_set(key(pk), partial(load, pk), SECONDS)


async def aoffer(pk: int) -> dict:
    """`offer` for asynchronous views; the cache awaits the loader. Raises Product.DoesNotExist."""
    return await cache.aget_or_set(key(pk), partial(_aload, pk), SECONDS)


def offers(pks) -> dict[int, dict]:
    """Return the offers of those of `pks` that still exist: one trip to the cache, and a load for each it lacks."""
    cached = cache.get_many([key(pk) for pk in pks])
    found = {}
    for pk in pks:
        try:
            found[pk] = cached.get(key(pk)) or offer(pk)
        except Product.DoesNotExist:
            continue
    return found


def change_price(pk: int, price) -> dict:
    """Set the price and return the new offer. Raises Product.DoesNotExist.

    When this returns, the change is committed and the cached copies are gone: later readers see it.
    """
    with transaction.atomic():
        product = Product.objects.select_for_update().get(pk=pk)
        product.price = price
        product.save()
    return _as_offer(product)


def watch() -> None:
    """Invalidate at every save and delete of a product, the admin's included."""
    for signal in (post_save, post_delete):
        signal.connect(_forget_on_commit, sender=Product, dispatch_uid="catalog.offers")


def _forget_on_commit(instance, **kwargs):
    # After the commit, never before: a reader in between would fill the cache with the old row, and no request would
    # delete that copy again.
    transaction.on_commit(partial(cache.delete, key(instance.pk)))


def load(pk: int) -> dict:
    return _as_offer(Product.objects.only("revision", "price").get(pk=pk))


async def _aload(pk):
    return _as_offer(await Product.objects.only("revision", "price").aget(pk=pk))


def _as_offer(product):
    return {"id": product.pk, "revision": product.revision, "price": f"{product.price:.2f}"}
