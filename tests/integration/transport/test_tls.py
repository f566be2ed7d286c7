"""TLS: a stream that behaves as its socket does, whatever the records are cut into; and who is spoken to at all."""

import os
import socket
import ssl
import threading
import time
from contextlib import ExitStack, contextmanager
from struct import pack

import pytest

from django_dcache.backend import DistributedCache
from django_dcache.errors import NodeUnreachable
from django_dcache.model.topology import Node
from django_dcache.testing import CLOSE, SILENCE, ScriptedNode
from django_dcache.transport.connection import Connection
from django_dcache.transport.limits import Limits
from django_dcache.transport.tls import RECORD_BYTES, TlsStream
from support.certificates import Authority

OPTIONS = {"timeout": 5.0, "connect_timeout": 5.0, "request_budget": 60.0, "freshness": 10.0}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certified(authority):
    return authority.sign("node")


@pytest.fixture
def node(authority, certified):
    with authority.node(*certified) as node:
        yield node


@pytest.fixture
def pair(authority, certified):
    """A stream; the plain socket at the other end; and what encrypts and decrypts there."""
    ours, theirs = socket.socketpair()
    context = authority.server_context(*certified)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(incoming, outgoing, server_side=True)
    stream = TlsStream(ours, authority.context(), "127.0.0.1")
    shaking = threading.Thread(target=lambda: stream.shake_hands(time.monotonic() + 10))
    shaking.start()
    while True:
        try:
            server.do_handshake()
            break
        except ssl.SSLWantReadError:
            theirs.sendall(outgoing.read())
            incoming.write(theirs.recv(100_000))
    shaking.join(10)

    def encrypt(data):
        for start in range(0, len(data), RECORD_BYTES):
            server.write(data[start : start + RECORD_BYTES])
        return outgoing.read()

    def decrypt(size):
        found = b""
        while len(found) < size:
            try:
                found += server.read(size)
            except ssl.SSLWantReadError:
                incoming.write(theirs.recv(100_000))
        return found

    theirs.sendall(outgoing.read())
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, pack("ll", 10, 0))
    with ours, theirs:
        yield stream, theirs, encrypt, decrypt


def test_a_question_and_its_answer(pair):
    """What is sent arrives, and what is answered is received."""
    stream, theirs, encrypt, decrypt = pair
    assert stream.send(b"question") == 8 and decrypt(8) == b"question"
    theirs.sendall(encrypt(b"answer"))
    assert stream.recv(4096) == b"answer"


@pytest.mark.parametrize("flags", [0, socket.MSG_DONTWAIT])
def test_records_that_come_in_pieces(pair, flags):
    """Half a record is no answer: it is waited for, or, without waiting, there is nothing yet."""
    stream, theirs, encrypt, _ = pair
    record = encrypt(b"answer")
    theirs.sendall(record[:9])
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, pack("ll", 0, 50_000))
    with pytest.raises(OSError):
        stream.recv(4096, flags)
    theirs.sendall(record[9:])
    assert stream.recv(4096, flags) == b"answer"


def test_many_records_at_once(pair):
    """All that has come is received at once: nothing stays where no poll sees it."""
    stream, theirs, encrypt, _ = pair
    theirs.sendall(b"".join(map(encrypt, [b"a", b"b", b"c"])))
    assert stream.recv(1) == b"abc"
    with pytest.raises(BlockingIOError):
        stream.recv(1, socket.MSG_DONTWAIT)


def test_waiting_for_all_of_it(pair):
    """With MSG_WAITALL as many bytes come as were asked for, over many records."""
    stream, theirs, encrypt, _ = pair
    data = os.urandom(1_000_000)
    writer = threading.Thread(target=lambda: theirs.sendall(encrypt(data)))
    writer.start()
    assert stream.recv(len(data), socket.MSG_WAITALL) == data
    writer.join(10)


def test_a_peer_that_drips(pair):
    """One byte at a time does not hold a reader longer than the kernel would: what has come by then is returned."""
    stream, theirs, encrypt, _ = pair
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, pack("ll", 0, 200_000))
    theirs.sendall(encrypt(b"first"))
    record, stopped = encrypt(b"x" * RECORD_BYTES), threading.Event()

    def drip():
        for number in range(len(record)):
            if stopped.wait(0.02):
                return
            theirs.sendall(record[number : number + 1])

    dripping = threading.Thread(target=drip)
    dripping.start()
    began = time.monotonic()
    assert stream.recv(RECORD_BYTES, socket.MSG_WAITALL) == b"first"
    assert time.monotonic() - began < 5
    stopped.set()
    dripping.join(10)


def test_more_than_the_kernel_takes(pair):
    """What was not taken is sent by the next call, once, however the call before ended."""
    stream, theirs, _, decrypt = pair
    data = os.urandom(3_000_000)
    received = []
    reader = threading.Thread(target=lambda: received.append(decrypt(len(data))))
    rest, refused = memoryview(data), 0
    while rest:
        try:
            rest = rest[stream.send(rest, socket.MSG_DONTWAIT) :]
        except BlockingIOError:
            refused += 1
            if not reader.is_alive():
                reader.start()
    reader.join(10)
    assert received == [data] and refused


def test_the_end(pair):
    """The end of the stream is the end, also in the middle of a record."""
    stream, theirs, encrypt, _ = pair
    theirs.sendall(encrypt(b"answer")[:9])
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(OSError):
        stream.recv(4096, socket.MSG_DONTWAIT)
    assert stream.recv(4096) == b""


# Whom to speak to


def opened(node, context, seconds=5.0):
    return Connection.open(Node.at(node.address), Limits(tls=context), seconds)


def test_a_node_with_a_certificate(node, authority):
    """A node whose certificate we trust is spoken to, on the short cut."""
    connection = opened(node, authority.context())
    assert connection.direct
    connection.close()


def test_certificates_that_are_refused(node, authority, tmp_path):
    """An authority that we don't know, another host's certificate, an expired one: nothing is sent to such a node."""
    with pytest.raises(NodeUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
        opened(node, ssl.create_default_context())
    for certificate in (authority.sign("elsewhere", host="127.0.0.9"), authority.sign("expired", days=0)):
        with (
            authority.node(*certificate) as stranger,
            pytest.raises(NodeUnreachable, match="CERTIFICATE_VERIFY_FAILED"),
        ):
            opened(stranger, authority.context())


@pytest.mark.parametrize("answer", [SILENCE, CLOSE, b"VERSION 1.6.18\r\n"])
def test_no_tls_there(authority, answer):
    """A node that says nothing, ends, or speaks in plain is unreachable within the time."""
    with ScriptedNode(answer) as plain:
        began = time.monotonic()
        with pytest.raises(NodeUnreachable):
            opened(plain, authority.context(), 0.3)
        assert time.monotonic() - began < 5


def test_client_certificates(authority, certified):
    """A node that wants a certificate of us refuses a client without one, and serves one with it."""
    options = f",ssl_verify_mode=2,ssl_ca_cert={authority.certificate}"
    with authority.node(*certified, options=options) as node:
        context = authority.context()
        with pytest.raises(NodeUnreachable):
            opened(node, context)
        context.load_cert_chain(*authority.sign("client"))
        opened(node, context).close()


@contextmanager
def cache_of(nodes, **options):
    cache = DistributedCache([node.address for node in nodes], {"OPTIONS": OPTIONS | options})
    try:
        yield cache
    finally:
        cache.fleet.close()


def test_a_cache_over_tls(authority, certified):
    """Every operation of a cache works over TLS, with values of every size, and two copies of each."""
    with ExitStack() as stack:
        nodes = [stack.enter_context(authority.node(*certified)) for _ in range(2)]
        cache = stack.enter_context(cache_of(nodes, tls=authority.context(), replicas=2))
        values = {
            f"key{size}": os.urandom(size) for size in (0, 1, 4000, 4096, 5000, 16_384, 20_000, 300_000, 2_500_000)
        }
        for key, value in values.items():
            assert cache.set(key, value) and cache.get(key) == value
        assert cache.get_many(values) == values
        assert cache.set_many(values) == [] and cache.get_many(values) == values
        assert cache.add("number", 1) and cache.incr("number") == 2 and cache.touch("number") and cache.delete("number")
        assert cache.get("number") is None and "key1" in cache
