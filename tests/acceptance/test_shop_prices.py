"""Prices in the example shop: no page and no offer is older than an acknowledged change."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.example_shop import Visitor


def test_offer_follows_a_price_change(visitor):
    """A changed price is the next revision, and every worker's next answer."""
    before = visitor.offer(12)
    changed = visitor.set_price(12, "11.5")
    assert changed == {"id": 12, "revision": before["revision"] + 1, "price": "11.50"}
    assert [visitor.offer(12) for _ in range(10)] == [changed] * 10


def test_offer_tells_hit_from_miss(visitor):
    """The first answer after a change says that the database was asked, and the next one that it was not."""
    visitor.set_price(20, "3")
    told = [visitor.ask("/api/products/20")[1]["Cache-Status"] for _ in range(2)]
    assert told == ["shop; fwd=miss", "shop; hit"]


def test_offer_follows_a_save_elsewhere(shop, visitor):
    """A product saved in another process, as the admin does, is the next revision in the shop's next answer."""
    before = visitor.offer(13)
    shop.execute("from catalog.models import Product; Product.objects.get(pk=13).save()")
    assert visitor.offer(13)["revision"] == before["revision"] + 1


def test_rolled_back_change_leaves_no_trace(shop, visitor):
    """A change that is rolled back is never seen, and a read inside its transaction does not publish it."""
    before = visitor.offer(14)
    shop.execute(
        "from django.db import transaction\n"
        "from catalog.models import Product\n"
        "with transaction.atomic():\n"
        "    Product.objects.get(pk=14).save()\n"
        "    transaction.set_rollback(True)"
    )
    assert visitor.offer(14) == before


@pytest.mark.parametrize("body", [b"", b"12", b"[]", b"{}", b'{"price": "NaN"}', b'{"price": -1}', b'{"price": 1.234}'])
def test_bad_prices_change_nothing(visitor, body):
    """A price that is none is refused with a reason, and the offer stays."""
    before = visitor.offer(15)
    status, _, text = visitor.ask("/api/products/15/price", body)
    assert status == 400
    assert json.loads(text)["error"]
    assert visitor.offer(15) == before


def test_prices_are_closed_without_the_demo(shop):
    """Without SHOP_DEMO nobody changes a price over HTTP."""
    code = "from django.test import Client; print(Client().post('/api/products/1/price', SERVER_NAME='localhost'))"
    assert "status_code=404" in shop.execute(code, SHOP_DEMO="")


def test_no_offer_is_older_than_an_acknowledged_change(shop):
    """While prices change, no read that begins after a change was acknowledged returns an earlier revision."""
    products = (16, 17)
    acknowledged = dict.fromkeys(products, 0)
    stale = []

    def write(pk):
        client = Visitor(shop)
        for cents in range(60):
            acknowledged[pk] = client.set_price(pk, f"20.{cents:02}")["revision"]  # one writer per product

    def read(pk):
        client = Visitor(shop)
        for _ in range(150):
            floor = acknowledged[pk]
            revision = client.offer(pk)["revision"]
            if revision < floor:
                stale.append((pk, revision, floor))

    with ThreadPoolExecutor() as pool:
        jobs = [pool.submit(write, pk) for pk in products] + [pool.submit(read, pk) for pk in products * 2]
    for job in jobs:
        job.result()
    assert stale == []


def test_asynchronous_view_agrees(visitor):
    """Offers asked for at once, on an event loop, are the ones that each product gives, and follow a change."""
    changed = visitor.set_price(18, "31.50")
    assert visitor.json("/api/offers?id=17&id=18")["offers"] == [visitor.offer(17), changed]
    assert visitor.ask("/api/offers?id=17&id=4711")[0] == 404
    assert visitor.ask("/api/offers?id=x")[0] == 400
