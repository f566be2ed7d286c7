"""The example shop as its customers meet it: served by gunicorn or uvicorn, visited over HTTP."""

import http.cookiejar
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager

from support.checkout import CHECKOUT

PROJECT = CHECKOUT / "example_project"
PASSWORD = "kiln-and-slab"


class Shop:
    """A served shop: its address, and its settings for other processes."""

    def __init__(self, url, environment):
        self.url = url
        self.environment = environment

    def run(self, *arguments, **environment):
        """Run Python in the shop's folder and return what it printed."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=PROJECT,
            env={**self.environment, **environment},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout

    def execute(self, code, **environment):
        return self.run("-c", f"import django; django.setup()\n{code}", **environment)


class Visitor:
    """Somebody with a browser: keeps cookies, follows redirects, sends the CSRF token along as shop.js does."""

    def __init__(self, shop):
        self.shop = shop
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    @property
    def session_key(self):
        return next(cookie.value for cookie in self.cookies if cookie.name == "sessionid")

    def ask(self, path, data=None):
        """Return (status, headers, text)."""
        try:
            with self._opener.open(self.shop.url + path, data, timeout=30) as response:
                return response.status, response.headers, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read().decode()

    def json(self, path, data=None):
        status, _, text = self.ask(path, data)
        assert status == 200, text
        return json.loads(text)

    def submit(self, path, **fields):
        fields["csrfmiddlewaretoken"] = self.json("/visitor")["csrf_token"]
        return self.ask(path, urllib.parse.urlencode(fields).encode())

    def log_in(self):
        return self.submit("/login/", username="ada", password=PASSWORD)

    def offer(self, pk):
        return self.json(f"/api/products/{pk}")

    def set_price(self, pk, price):
        return self.json(f"/api/products/{pk}/price", json.dumps({"price": price}).encode())


@contextmanager
def serve(nodes, folder, server="gunicorn", options="{}", settings="shop.settings"):
    """Seed a shop in `folder` and serve it on a port the kernel picked. The socket listens before the server does."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(CHECKOUT / folder) for folder in ("", "manager", "tests", "example_project")),
        "DJANGO_SETTINGS_MODULE": settings,
        "DCACHE_NODES": ",".join(nodes),
        "DCACHE_OPTIONS": options,
        "SHOP_DATABASE": str(folder / "shop.sqlite3"),
        "SHOP_DEMO": "1",
    }
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        shop = Shop(f"http://127.0.0.1:{listener.getsockname()[1]}", environment)
        shop.run("manage.py", "seed", "--password", PASSWORD)
        fd = listener.fileno()
        commands = {
            "gunicorn": ["shop.wsgi", "--bind", f"fd://{fd}", "--workers=2", "--threads=4", "--no-control-socket"],
            "uvicorn": ["shop.asgi:application", "--fd", str(fd), "--lifespan=off"],
        }
        process = subprocess.Popen(
            [sys.executable, "-m", server, *commands[server], "--log-level=warning"],
            cwd=PROJECT,
            env=environment,
            pass_fds=[fd],
        )
        try:
            yield shop
        finally:
            process.terminate()
            process.wait(timeout=60)
