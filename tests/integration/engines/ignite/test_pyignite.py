"""Beside the client of Ignite's own project: the bytes that it sends are ours, and each reads what the other stored."""

import socket
import threading

import pytest

from django_dcache.commands import Get, Remove
from django_dcache.engines.ignite import engine
from django_dcache.engines.ignite.frames import Operation, cache_id, key, octets, plain, request
from django_dcache.testing import dial

pyignite = pytest.importorskip("pyignite", reason="pyignite is not installed: it has no wheel for this Python")
NUMBER_AT = slice(6, 14)


class Recorder:
    """Passes on what one client says to a server, and keeps it, until both ends are closed."""

    def __init__(self, endpoint):
        self.heard = bytearray()
        self._endpoint, self._door = endpoint, socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        client, _ = self._door.accept()
        with self._door, client, dial(self._endpoint, 30.0) as server:
            back = threading.Thread(target=self._pass, args=(server, client))
            back.start()
            self._pass(client, server, self.heard)
            server.shutdown(socket.SHUT_RDWR)
            back.join()

    def _pass(self, source, target, heard=None):
        try:
            while data := source.recv(1 << 16):
                if heard is not None:
                    heard += data
                target.sendall(data)
        except OSError:
            pass

    def join(self):
        self._thread.join()

    def frames(self):
        """What was heard but for the handshake, without the numbers of the requests."""
        data, found = bytes(self.heard), []
        while data:
            size = 4 + int.from_bytes(data[:4], "little")
            found.append(without_number(data[:size]))
            data = data[size:]
        return found[1:]


def without_number(frame):
    return frame[: NUMBER_AT.start] + frame[NUMBER_AT.stop :]


def test_the_same_bytes(ignite):
    """A read, a removal, a write and a compare-and-set have the bytes that pyignite sends, but for their numbers."""
    recorder, cache = Recorder(ignite.endpoint), cache_id("dcache")
    client = pyignite.Client()
    with client.connect("127.0.0.1", recorder.port):
        theirs = client.get_cache("dcache")
        theirs.get("k")
        theirs.remove_key("k")
        theirs.put("k", b"v")
        theirs.replace_if_equals("k", b"v", b"w")
    recorder.join()
    wanted = [
        engine("dcache").encode([Get(b"k")], 0, 0.0),
        engine("dcache").encode([Remove(b"k")], 0, 0.0),
        request(Operation.PUT, plain(cache) + key(b"k") + octets(b"v"), 0),
        request(Operation.REPLACE_IF_EQUALS, plain(cache) + key(b"k") + octets(b"v") + octets(b"w"), 0),
    ]
    heard = recorder.frames()
    assert [frame for frame in map(without_number, wanted) if frame not in heard] == []


def test_each_reads_what_the_other_stored(ignite, cache_of):
    """An item of ours is a byte array under a string for any other client; what another keeps there is a miss."""
    cache, client = cache_of(ignite), pyignite.Client()
    cache.set("k", "text")
    host, port = ignite.endpoint.split(":")
    with client.connect(host, int(port)):
        theirs = client.get_cache("dcache")
        assert b"text" in bytes(theirs.get(":1:k"))
        theirs.put(":1:number", 5)
        assert cache.get("number", "nothing") == "nothing" and cache.set("number", 6) and cache.get("number") == 6
