"""The example shop on three memcached nodes: two gunicorn workers of four threads each, or uvicorn."""

import itertools
import json
import re
import socket
import threading
import urllib.parse
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from django_dcache.testing import LocalFleet
from support.example_shop import Visitor, serve
from support.scale import FULL
from support.waiting import until


@pytest.mark.parametrize(
    ("path", "holds"),
    [
        ("/", "Celadon mug"),
        ("/?page=2", "Ash planter"),
        ("/shelf/vases/", "Cobalt vase"),
        ("/products/4/", "Celadon teapot"),
        ("/cart/", "Nothing in it yet"),
        ("/cart/add/4/", "csrfmiddlewaretoken"),
        ("/account/", "Log in"),
        ("/login/", "Password"),
    ],
)
def test_pages_render(visitor, path, holds):
    """Every page renders, and holds no script or style of its own that a strict content policy would block."""
    status, headers, text = visitor.ask(path)
    assert status == 200
    assert holds in text
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert not re.search(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son\w+=", text)


@pytest.mark.parametrize("name", ["shop.css", "shop.js", "shapes.svg", "mark.svg"])
def test_static_files_are_served(visitor, name):
    """The shop needs no second server for its static files."""
    assert visitor.ask(f"/static/catalog/{name}")[0] == 200


@pytest.mark.parametrize("path", ["/products/999/", "/shelf/hats/", "/cart/add/999/", "/api/products/999", "/nowhere"])
def test_what_is_not_there_is_a_404(visitor, path):
    """An address without a product is not found; it is no error."""
    assert visitor.ask(path)[0] == 404


def test_healthz(visitor):
    """A worker that reaches its database says that it is well."""
    assert visitor.json("/healthz") == {"status": "ok"}


def test_cached_page_is_one_copy_for_everybody(shop, visitor):
    """A product page is kept once for all visitors until a moment after the product changes, and says nothing about the
    one it was rendered for."""
    visitor.log_in()
    visitor.submit("/cart/add/6/", quantity=1)
    _, headers, first = visitor.ask("/products/6/")
    assert "Cookie" not in headers.get("Vary", "")
    assert "Set-Cookie" not in headers
    assert "ada" not in first
    visitor.set_price(5, "99.99")
    assert Visitor(shop).ask("/products/6/")[2] == first
    visitor.set_price(6, "99.99")
    # Each worker learns of it within `freshness`.
    assert until(lambda: "99.99" in Visitor(shop).ask("/products/6/")[2])


def test_views_of_a_cached_page_are_counted(shop, visitor):
    """Every view counts exactly once, also of a page that comes out of the cache, from whichever worker."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(visitor.ask, ["/products/7/"] * 40))
    assert shop.execute("from django.core.cache import cache; print(cache.get('views:7'))").strip() == "40"


def test_cart(visitor):
    """A cart adds up, changes and empties."""
    visitor.submit("/cart/add/8/", quantity=2)
    visitor.submit("/cart/add/8/", quantity=1)
    visitor.submit("/cart/add/9/", quantity=4)
    assert visitor.json("/visitor")["items"] == 7
    visitor.submit("/cart/change/9/", quantity=1)
    _, _, text = visitor.submit("/cart/change/8/", quantity=0)
    assert "Cobalt plate" in text
    assert "Cobalt bowl" not in text
    assert visitor.json("/visitor")["items"] == 1


def test_cart_shows_the_price_of_now(visitor):
    """The cart is reckoned with the price as last changed, not with the one at which the product was put in."""
    visitor.submit("/cart/add/10/", quantity=3)
    visitor.set_price(10, "7.25")
    assert "21.75" in visitor.ask("/cart/")[2]


def test_product_page_works_without_the_script(visitor):
    """The form on a product page, sent as it stands in the HTML, leads to one with a token that fills the cart."""
    action = re.search(r'<form class="buy" method="get" action="([^"]+)"', visitor.ask("/products/11/")[2])[1]
    _, _, text = visitor.ask(f"{action}?quantity=2")
    fields = dict(re.findall(r'name="(\w+)" value="([^"]+)"', text))
    visitor.ask(action, urllib.parse.urlencode(fields).encode())
    assert visitor.json("/visitor")["items"] == 2


def test_forms_need_a_token(visitor):
    """A form from elsewhere is refused."""
    assert visitor.ask("/cart/add/4/", b"quantity=1")[0] == 403


def test_login_keeps_the_cart(visitor):
    """Who fills a cart and then logs in still has it, under a new session key."""
    visitor.submit("/cart/add/4/", quantity=1)
    before = visitor.session_key
    _, _, text = visitor.log_in()
    assert "Hello, ada" in text
    assert "1 piece in your" in text
    assert visitor.session_key != before


def test_logout_ends_the_session(shop, visitor):
    """After a logout the old session key opens nothing, in any worker."""
    visitor.log_in()
    thief = Visitor(shop)
    for cookie in visitor.cookies:
        thief.cookies.set_cookie(cookie)
    assert thief.json("/visitor")["name"] == "ada"
    visitor.submit("/logout/")
    assert {thief.json("/visitor")["name"] for _ in range(10)} == {""}


def test_sessions_outlive_the_nodes_memory(shop, visitor):
    """When every node loses all it holds, logins and carts stay: the cache only had a copy of them."""
    visitor.submit("/cart/add/4/", quantity=3)
    visitor.log_in()
    for address in shop.environment["DCACHE_NODES"].split(","):
        host, port = address.split(":")
        with socket.create_connection((host, int(port))) as node:
            node.sendall(b"flush_all\r\n")
            assert node.recv(16) == b"OK\r\n"
    seen = visitor.json("/visitor")
    assert (seen["name"], seen["items"]) == ("ada", 3)


def test_no_error_while_the_fleet_changes(tmp_path):
    """Under uvicorn, with load on views of both kinds, a node joins and another dies: every answer is right."""
    products, options = range(1, 11), {"replicas": 2, "freshness": 0.5}
    stop, wrong, answers = threading.Event(), [], Counter()

    def look(shop, path):
        client = Visitor(shop)
        while not stop.is_set():
            floor = dict(acknowledged)
            status, _, text = client.ask(path)
            answers[path] += 1
            if status != 200:
                wrong.append((path, status, text[:200]))
            elif path.startswith("/api"):
                offers = json.loads(text)["offers"]
                wrong.extend(offer for offer in offers if offer["revision"] < floor.get(offer["id"], 0))

    def write(shop):
        client = Visitor(shop)
        for cents in itertools.cycle(range(100)):
            if stop.is_set():
                break
            for pk in products:
                acknowledged[pk] = client.set_price(pk, f"30.{cents:02}")["revision"]

    acknowledged: dict[int, int] = {}
    offers = "/api/offers?" + "&".join(f"id={pk}" for pk in products)
    with LocalFleet(3) as fleet, serve(fleet.addresses, tmp_path, "uvicorn", json.dumps(options)) as shop:
        with ThreadPoolExecutor() as pool:
            jobs = [pool.submit(look, shop, path) for path in (offers, offers, "/", "/products/4/")]
            jobs.append(pool.submit(write, shop))
            try:
                added = fleet.add().address
                shop.run("-m", "dcache_manager", "rebalance", "run", "--add", added, "--yes")
                seen = dict(answers)
                fleet.nodes[0].kill()
                while any(answers[path] < seen[path] + 20 for path in seen):
                    assert not stop.wait(0.01) and not any(job.done() for job in jobs)
            finally:
                stop.set()
        for job in jobs:
            job.result()
    assert wrong == []


def test_shop_stays_open_without_its_nodes(tmp_path):
    """With one node dead and then all of them, every page still renders and a price change is still seen."""
    with LocalFleet(3) as fleet, serve(fleet.addresses, tmp_path) as shop:
        visitor = Visitor(shop)
        visitor.log_in()
        visitor.submit("/cart/add/4/", quantity=1)
        for node in fleet.nodes:
            node.kill()
            for path in ("/", "/products/4/", "/cart/", "/account/"):
                assert visitor.ask(path)[0] == 200
            changed = visitor.set_price(4, "5")
            assert visitor.offer(4) == changed


def test_a_node_is_away_for_a_while(tmp_path):
    """With one copy of each key and a node that is dead for a time and returns: no error, and no session comes back."""
    away, after = (30.0, 40.0) if FULL else (4.0, 3.0)
    stop, wrong, answers = threading.Event(), [], Counter()
    thieves: list[Visitor] = []

    def look(shop, path):
        client = Visitor(shop)
        while not stop.is_set():
            status, _, text = client.ask(path)
            answers[path] += 1
            wrong.extend([(path, status, text[:200])] if status != 200 else [])

    def come_and_go(shop):
        while not stop.is_set():
            member, thief = Visitor(shop), Visitor(shop)
            pages = [member.log_in(), member.submit("/cart/add/4/", quantity=1)]
            list(map(thief.cookies.set_cookie, member.cookies))
            wrong.extend([] if thief.json("/visitor")["name"] == "ada" else ["the session was lost"])
            pages.append(member.submit("/logout/"))
            wrong.extend(page for page in pages if page[0] != 200)
            thieves.append(thief)
            answers["sessions"] += 1
            wrong.extend("a session came back" for thief in thieves[-20:] if thief.json("/visitor")["name"])

    with LocalFleet(3) as fleet, serve(fleet.addresses, tmp_path) as shop, ThreadPoolExecutor() as pool:
        jobs = [pool.submit(look, shop, path) for path in ("/", "/products/4/", "/cart/")]
        jobs.append(pool.submit(come_and_go, shop))
        try:
            stop.wait(1.0)
            fleet.nodes[0].kill()
            stop.wait(away)
            fleet.nodes[0].start()
            stop.wait(after)
            until(lambda: len(answers) == 4 and min(answers.values()) > 5)
        finally:
            stop.set()
        for job in jobs:
            job.result()
        wrong.extend("a session came back" for thief in thieves if thief.json("/visitor")["name"])
    print(dict(answers))
    assert wrong == [] and len(answers) == 4 and min(answers.values()) > 5


def test_seed_adds_what_is_missing(shop):
    """Seeding a seeded shop again leaves it as it is, but for the products that it lacks."""
    assert shop.run("manage.py", "seed") == "48 products; customer ada, password as before\n"
    assert shop.run("manage.py", "seed", "--products", "50").startswith("50 products;")


def test_models_and_migrations_agree(shop):
    """Nothing in the models waits for a migration, and Django's checks find nothing."""
    shop.run("manage.py", "makemigrations", "--check", "--dry-run")
    assert "no issues" in shop.run("manage.py", "check")
