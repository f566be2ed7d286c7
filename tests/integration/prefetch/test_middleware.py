"""Pages behind the middleware: what is fetched for them, and that they show what they would show without it."""

import asyncio
import threading

import pytest
from django.core.cache import caches
from django.test import AsyncClient, Client, override_settings

from django_dcache.prefetch.learning import IDLE_REQUESTS, THEN_ONE_IN
from django_dcache.testing import FaultProxy, LocalFleet
from support import prefetched_pages
from support.prefetched_pages import KEYS, values
from support.waiting import until

BACKEND = "django_dcache.backend.DistributedCache"


@pytest.fixture(scope="module")
def nodes():
    """Three nodes."""
    with LocalFleet(3) as fleet:
        yield fleet


@pytest.fixture
def site(nodes, request):
    """A site, and what its cache is asked."""
    asked = []
    proxies = [FaultProxy(node).__enter__() for node in nodes.addresses]
    places = dict(zip(nodes.addresses, (proxy.address for proxy in proxies), strict=True))
    options = {
        "fleet": "".join(filter(str.isalnum, request.node.name)),
        "address_remap": places.__getitem__,
        **{"timeout": 5, "freshness": 60},
    }
    entry = {"BACKEND": BACKEND, "LOCATION": list(nodes.addresses), "OPTIONS": options}
    settings = {
        "ROOT_URLCONF": prefetched_pages.__name__,
        "ALLOWED_HOSTS": ["testserver"],
        "CACHES": {"default": entry},
        "SESSION_ENGINE": "django.contrib.sessions.backends.cache",
        "TEMPLATES": [{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        "MIDDLEWARE": [
            "django_dcache.prefetch.PrefetchMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
        ],
    }
    try:
        for proxy in proxies:
            proxy.on_command = asked.append
        with override_settings(**settings):
            for pk in range(20):
                caches["default"].set_many(values(pk))
            yield Site(proxies, asked)
    finally:
        for proxy in proxies:
            proxy.__exit__(None, None, None)


class Site:
    """Its proxies, and the commands that they have carried."""

    def __init__(self, proxies, asked):
        self._proxies, self._asked = proxies, asked
        self.client = Client()

    @property
    def counters(self):
        return caches["default"].fleet.counters

    def reads(self):
        """Of keys; a proof of the state is none."""
        return [command for command in self._asked if command.startswith(b"mg") and b":1:" in command]

    def get(self, address, **options):
        """What the page shows."""
        self._asked.clear()
        return self.client.get(address, **options).content.decode()

    def first_reads(self, address):
        """How many keys are asked for before the first one is answered, and the page."""
        shown = []
        self._asked.clear()
        for proxy in self._proxies:
            proxy.hold("replies")
        request = threading.Thread(target=lambda: shown.append(self.client.get(address).content.decode()))
        request.start()
        try:
            until(lambda: len(self.reads()) >= KEYS, seconds=2)
            count = len(self.reads())
        finally:
            for proxy in self._proxies:
                proxy.release()
            request.join()
        return count, shown[0]


def test_a_page_of_twenty_keys_takes_one_round(site):
    """After some products the page of another asks for all of its keys before the first one is answered."""
    for pk in range(1, 6):
        assert site.get(f"/page/{pk}") == " ".join(values(pk).values())
    assert site.first_reads("/page/9") == (KEYS, " ".join(values(9).values()))
    assert len(site.reads()) == KEYS


def test_an_asynchronous_page(site):
    """The same for a view on an event loop."""
    client = AsyncClient()
    for pk in range(1, 6):
        assert asyncio.run(_aget(client, f"/apage/{pk}")) == " ".join(values(pk).values())
    before = site.counters["reads_foreseen"]
    assert asyncio.run(_aget(client, "/apage/9")) == " ".join(values(9).values())
    assert site.counters["reads_foreseen"] == before + KEYS


def test_cached_pages(site):
    """The keys under which Django keeps a page and its parts are foreseen for a page that was never seen."""
    for pk in (1, 1, 2, 2, 3, 3, 4, 4):
        assert site.get(f"/whole/{pk}") == str(pk)
    before = site.counters["reads_foreseen"]
    assert site.get("/whole/9") == "9"
    assert site.counters["reads_foreseen"] > before
    before = site.counters["reads_unforeseen"]
    assert site.get("/whole/9") == "9"
    assert site.counters["reads_unforeseen"] == before


def test_tagged_pages(site):
    """The keys of a page behind the cache_page of django_dcache are foreseen, by the headers it varies on."""
    for pk in (11, 11, 12, 12, 13, 13, 14, 14, 19, 19):
        assert site.get(f"/tagged/{pk}", headers={"accept-language": "de"}) == str(pk)
    before = dict(site.counters)
    assert site.get("/tagged/19", headers={"accept-language": "de"}) == "19"
    assert site.counters["reads_foreseen"] == before["reads_foreseen"] + 10
    assert site.counters["reads_unforeseen"] == before["reads_unforeseen"]


def test_what_is_the_visitors_own(site):
    """The session's key and what belongs to its user are foreseen, once it is known whose session it is."""
    caches["default"].set_many({f"greeting:{pk}": f"hello {pk}" for pk in range(100, 110)} | {"news": "none"})
    for pk in range(100, 110):
        site.client.cookies.clear()
        site.get(f"/login/{pk}")
        assert site.get("/visitor") == f"{pk} hello {pk} none"
    assert site.get("/visitor") == "109 hello 109 none"
    before = dict(site.counters)
    assert site.get("/visitor") == "109 hello 109 none"
    assert site.counters["reads_foreseen"] == before["reads_foreseen"] + 3
    assert site.counters["reads_unforeseen"] == before["reads_unforeseen"]


def test_a_cookie_that_makes_no_key(site):
    """Where a visitor's cookie makes a key that no node takes, the page shows what it shows without a session."""
    caches["default"].set("news", "none")
    for pk in range(100, 106):
        site.client.cookies.clear()
        site.get(f"/login/{pk}")
        assert site.get("/news") == site.get("/news") == f"none {pk}"
    before = site.counters["reads_foreseen"]
    site.client.cookies["sessionid"] = "not a key at all"
    assert site.get("/news") == "none None"
    assert site.counters["reads_foreseen"] > before


def test_another_user_gets_what_is_theirs(site):
    """A guess about the user costs bytes: who reads is shown what they read."""
    for pk in (1, 2, 1, 2):
        caches["default"].set(f"greeting:{pk}", f"hello {pk}")
        site.get(f"/login/{pk}")
        assert site.get("/visitor").startswith(f"{pk} hello {pk}")


def test_declared_keys(site):
    """A view's own list is fetched with the first request; what the request lacks a value for is left out."""
    assert site.get("/declared/3") == "3/0 3/1 3/2"
    assert len(site.reads()) == 3
    assert asyncio.run(_aget(AsyncClient(), "/adeclared/4")) == "4/0 4/1"


async def _aget(client, address):
    response = await client.get(address)
    return response.content.decode()


def test_own_writes(site):
    """A page that changes what was fetched for it reads what it has written."""
    for number in range(8):
        assert site.get("/changing/1") == f"{number or None} {number + 1}"


def test_a_failing_view_and_addresses_that_lead_nowhere(site):
    """What a view raises comes through, a page that is not there stays so, and a strange host is Django's to judge."""
    client = Client(raise_request_exception=False)
    for _ in range(4):
        assert client.get("/failing/1").status_code == 500
        assert client.get("/nowhere").status_code == 404
        assert client.get("/page/1", headers={"host": "a b"}).status_code == 200
        client.cookies["sessionid"] = "not a key " * 40
        assert client.get("/visitor").status_code == 200


def test_a_route_that_does_not_pay_fetches_nothing(site):
    """A page that reads one key asks for that one."""
    for _ in range(6):
        with pytest.raises(ValueError):
            site.get("/failing/1")
    assert len(site.reads()) == 1
    assert not site.counters["prefetched_bytes"]


def test_a_small_page_is_hardly_watched(site):
    """Once it is known that a page reads one key, its requests have no memory and its reads no work but their own."""
    shown = [site.get(f"/small/{number % 20}") for number in range(200)]
    assert shown[0] == "sale True" and shown.count("sale False") >= 150


def test_a_site_where_nothing_pays(site):
    """After a thousand requests for pages that read nothing, one in four is looked at; after one that pays, each is."""
    for _ in range(IDLE_REQUESTS):
        site.client.get("/looked")
    assert [site.get("/looked") for _ in range(40)].count("True") == 40 / THEN_ONE_IN
    for pk in range(6 * THEN_ONE_IN):
        site.get(f"/page/{pk % 20}")
    assert [site.get("/looked") for _ in range(40)].count("True") == 40
