"""One question over a bare socket, to see what a network does to it."""

import pytest

from django_dcache.testing import receive

GET = b"mg k v\r\n"
HIT = b"VA 5\r\nhello\r\n"
PATIENCE_SECONDS = 60
SILENCE_SECONDS = 0.05


def ask(connection, request=GET, size=len(HIT)):
    connection.settimeout(PATIENCE_SECONDS)
    connection.sendall(request)
    return receive(connection, size)


def assert_silent(connection):
    connection.settimeout(SILENCE_SECONDS)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    connection.settimeout(PATIENCE_SECONDS)
