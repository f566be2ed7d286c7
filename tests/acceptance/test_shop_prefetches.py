"""The example shop's pages, and what of them is foreseen."""

import json
from contextlib import ExitStack

import pytest

from django_dcache.testing import FaultProxy, LocalFleet
from support.example_shop import serve

VISITS = """
import json, random
from django.contrib.auth.models import User
from django.core.cache import cache, caches
from django.test import Client
from catalog.models import Category

luck, client, counters = random.Random(1), Client(SERVER_NAME="localhost"), caches["default"].fleet.counters
cookies = [{}]
for _ in range(2):
    client.force_login(User.objects.first())
    cookies.append({name: cookie.value for name, cookie in client.cookies.items()})
    client.cookies.clear()
shelves = list(Category.objects.values_list("slug", flat=True))
PAGES = [
    lambda: "/",
    lambda: f"/products/{min(48, int(luck.paretovariate(0.8)))}/",
    lambda: f"/shelf/{luck.choice(shelves)}/",
    lambda: "/cart/",
    lambda: "/account/",
]

def visit(count):
    for _ in range(count):
        for page in PAGES:
            client.cookies.clear()
            for name, value in luck.choice(cookies).items():
                client.cookies[name] = value
            assert client.get(page(), follow=False).status_code in (200, 302)

visit(50)
before = dict(counters)
visit(50)
print(json.dumps({name: counters[name] - before.get(name, 0) for name in counters}))
"""


@pytest.fixture
def shop(tmp_path):
    """A shop whose three nodes are a millisecond away: where they are nearer, pages of few reads are left alone."""
    with LocalFleet(3) as fleet, ExitStack() as links:
        proxies = [links.enter_context(FaultProxy(node)) for node in fleet.addresses]
        for proxy in proxies:
            proxy.delay(0.001)
        with serve([proxy.address for proxy in proxies], tmp_path) as shop:
            yield shop


def test_keys_are_foreseen(shop):
    """After fifty visits of each page nine of ten keys are foreseen, and at most a fifth of the bytes is in vain."""
    counted = json.loads(shop.execute(VISITS))
    assert counted["reads_foreseen"] >= max(200, 9 * counted["reads_unforeseen"])
    assert counted["prefetched_bytes_unused"] <= 0.2 * counted["prefetched_bytes"]
