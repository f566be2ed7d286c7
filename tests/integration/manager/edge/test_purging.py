"""An invalidation purges the edges through the log."""

import json
import threading
from datetime import timedelta

import pytest
from django.test import override_settings

from dcache_manager import edges
from dcache_manager.edge import adapters, purging
from dcache_manager.follower import Follower
from dcache_manager.invalidation import log
from dcache_manager.models import Acknowledgement, Invalidation
from dcache_manager.settings import regions
from django_dcache import invalidate
from django_dcache.errors import ConfigurationError
from support.edges import edge, settle, shown
from support.recording_api import Recorder


@pytest.mark.parametrize(
    "given",
    [
        {"a b": {}},
        {"a": {"kind": "squid"}},
        {"a": {"kind": "fastly"}},
        {"a": {"kind": "fastly", "urls": ["file:///etc"]}},
        {"a": {"kind": "x.y", "timeout": 0}},
        {"a": {"kind": "x.y", "token": ""}},
        {"a": {"kind": "x.y", "url": ""}},
        [],
    ],
)
def test_wrong_edges(given):
    """A wrong edge is an error that names it."""
    with pytest.raises(ConfigurationError, match="EDGES"):
        edges.parse(given)


@pytest.fixture
def api():
    """A server in the place of an edge."""
    with Recorder() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        server.url = f"http://127.0.0.1:{server.server_port}/service/1/purge"
        yield server
        server.shutdown()
        thread.join()


def test_apis(api):
    """Each kind of edge is asked as its documentation says, for at most as many tags at once as it takes."""
    tags = [f"product:{number}" for number in range(60)]
    told = {}
    for kind in edges.KINDS:
        (one,) = edges.parse({"front": {"kind": kind, "urls": [api.url], "token": "s3cret"}})
        adapters.purge(one, tags)
        told[kind], api.asked[:] = list(api.asked), []
        assert "s3cret" not in repr(one)
    ((method, path, headers, _),) = told["fastly"]
    assert (method, path, headers["Fastly-Key"]) == ("POST", "/service/1/purge", "s3cret")
    assert headers["Surrogate-Key"].split() == tags
    asked = [json.loads(body)["tags"] for _, _, _, body in told["cloudflare"]]
    assert asked == [tags[:30], tags[30:]] and told["cloudflare"][0][2]["Authorization"] == "Bearer s3cret"
    ((method, _, headers, _),) = told["varnish-xkey"]
    assert method == "PURGE" and headers["Xkey-Purge"].split() == tags
    ((method, _, headers, _),) = told["varnish-ban"]
    assert method == "BAN" and "|product:7|" in headers["X-Ban-Tags"].replace("\\", "")


def own_function(tags):
    own_function.asked.append(tags)


def test_through_the_log():
    """An edge is purged at once, and once more when no old response can be on its way; only then the log is settled.
    Keys are none of its business."""
    own_function.asked = []
    with edge(kind=f"{__name__}.own_function"):
        invalidate(["k"])
        assert not own_function.asked and not shown()["missing"]
        invalidate(tags=["a", "b"])
        assert own_function.asked == [["a", "b"]] and shown()["missing"] == ["edge:front"]
        settle()
        asked = len(own_function.asked)
        assert own_function.asked == [["a", "b"]] * asked and asked > 1
        log.catch_up(regions())
        assert Invalidation.objects.filter(settled=True).count() == 2 and len(own_function.asked) == asked


def test_when_an_edge_is_purged_again():
    """Half a second after the first purge, for what was on its way, then every two seconds until it acknowledges."""
    with edge(kind=f"{__name__}.own_function"):
        entry = Invalidation.objects.create(region="eu", alias="default", kind="tags", made=["a"])
        (front,) = regions().edges
        began, claimed = entry.created, []
        for tenth in range(60):
            (row,) = Invalidation.objects.prefetch_related("acknowledgements")
            if purging._claim(row, front, began + timedelta(seconds=tenth / 10)):
                claimed.append(tenth)
        assert claimed == [0, 5, 25, 45]


def test_while_all_children_are_at_jobs():
    """A worker whose children take no message purges within half a second: its follower looks so often."""
    own_function.asked = []
    waited = []

    class Looks:
        """What the follower waits for: here it takes no time."""

        def wait(self, seconds):
            waited.append(seconds)
            return len(waited) > 30 or bool(own_function.asked)

    with edge(kind=f"{__name__}.own_function"):
        Invalidation.objects.create(region="eu", alias="default", kind="tags", made=["a"])
        for _ in range(20):
            waited.clear()
            own_function.asked.clear()
            Acknowledgement.objects.all().delete()
            worker = Follower(None)
            worker._over = Looks()
            worker._follow()
            assert own_function.asked and sum(waited[:-1]) <= 0.5


def test_an_edge_that_refuses(api, caplog):
    """What an edge refuses is tried again, all in one go, until it is done; the log shows it as missing."""
    api.status = 503
    with edge(kind="fastly", urls=[api.url], token="t"):
        for number in range(3):
            invalidate(tags=[f"product:{number}"])
        assert shown()["missing"] == ["edge:front"] and "could not be purged" in caplog.text
        api.status, api.asked[:] = 200, []
        settle()
        asked = [request[2]["Surrogate-Key"].split() for request in api.asked]
        assert set().union(*asked) == {"product:0", "product:1", "product:2"} and len(asked) < 6


def test_a_region_that_is_behind(monkeypatch):
    """Until every region has applied an entry, no purge of it counts: that region may still make old responses."""
    own_function.asked = []
    monkeypatch.setattr(purging, "SETTLE", purging.SETTLE * 0)
    monkeypatch.setattr(purging, "RETRY", purging.RETRY * 0)
    monkeypatch.setattr(purging, "SOON", purging.SOON * 0)
    front = {"front": {"kind": f"{__name__}.own_function"}}
    with override_settings(DCACHE={"REGION": "eu", "REGIONS": ["eu", "us"], "EDGES": front}):
        invalidate(tags=["a"])
        log.catch_up(regions())
        assert len(own_function.asked) > 1 and set(shown()["missing"]) == {"us", "edge:front"}
        log.acknowledge(Invalidation.objects.get().pk, "us")
        log.catch_up(regions())
        assert not shown()["missing"] and not Acknowledgement.objects.filter(applied=None).exists()
