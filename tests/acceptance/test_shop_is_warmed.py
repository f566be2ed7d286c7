"""The example shop's warmers, as an operator runs them and as a visitor notices."""

import json

import pytest

from django_dcache.testing import LocalFleet
from support.example_shop import Visitor, serve

SETTINGS = """
from shop.settings import *

INSTALLED_APPS = list(dict.fromkeys([*INSTALLED_APPS, "dcache_manager"]))
"""
RENAME = "from catalog.models import Product; print(Product._base_manager.update(name='Renamed', price=1))"


@pytest.fixture
def shop(tmp_path):
    """A shop on two nodes, whose settings for commands know the manager."""
    (tmp_path / "warmed.py").write_text(SETTINGS)
    with LocalFleet(2) as fleet, serve(fleet.addresses, tmp_path) as shop:
        shop.environment["PYTHONPATH"] += f":{tmp_path}"
        shop.environment |= {"DJANGO_SETTINGS_MODULE": "warmed", "SHOP_HOST": shop.url.removeprefix("http://")}
        shop.run("manage.py", "migrate", "-v", "0")
        yield shop


def test_visitors_find_everything_there(shop):
    """After `warm run` pages, fragments and offers come from the cache, and nobody is counted as a visitor."""
    items = json.loads(shop.run("-m", "dcache_manager", "warm", "run", "--tag", "catalog", "--json"))["items"]
    assert [(item["warmer"], item["loaded"] + item["present"]) for item in items] == [
        ("cards", 48),
        ("offers", 48),
        ("pages", 55),
    ]
    shop.execute(RENAME)  # Around the signals: whoever asks the database now sees it.
    visitor = Visitor(shop)
    assert "Celadon teapot" in visitor.ask("/products/4/")[2]
    assert "Celadon mug" in visitor.ask("/?page=2")[2] + visitor.ask("/")[2]
    _, headers, text = visitor.ask("/api/products/4")
    assert headers["Cache-Status"] == "shop; hit" and json.loads(text)["price"] != "1.00"
    assert shop.execute("from catalog.popularity import most_viewed; print([p.pk for p in most_viewed()])") == "[4]\n"
