"""The ways in which a node can be of no use, each as a switch on the proxy before a real one."""

import re
from collections.abc import Callable

from django_dcache.testing import CLOSE, RESET, SILENCE, FaultProxy, truncated
from django_dcache.testing.answers import Answer

NOBODY = "127.0.0.1:9"
"""The discard port: a proxy that can't reach its node resets whoever connects."""


def _says(answer: Answer) -> Callable[[FaultProxy], None]:
    return lambda proxy: proxy.tamper(lambda reply: answer)


def _refused(proxy: FaultProxy) -> None:
    proxy.refuse()
    proxy.drop_connections()


def _reset_at_once(proxy: FaultProxy) -> None:
    proxy.target = NOBODY
    proxy.drop_connections()


def _endless_value(reply: bytes) -> Answer:
    number = re.search(rb" O(\d+)", reply)
    return b"VA 99999999 f0 O%b\r\n" % (number[1] if number else b"0") + b"x" * 4_000_000, SILENCE


BAD: dict[str, Callable[[FaultProxy], None]] = {
    "silence": lambda proxy: proxy.hold("replies"),
    "reset": _says(RESET),
    "closed": _says(CLOSE),
    "reset when connected": _reset_at_once,
    "refused": _refused,
    "200 ms late": lambda proxy: proxy.delay(0.2),
    "300 ms late": lambda proxy: proxy.delay(0.3),
    "one byte each 100 ms": lambda proxy: proxy.dribble(0.1),
    "half a reply": lambda proxy: proxy.tamper(lambda reply: truncated(reply, len(reply) // 2, SILENCE)),
    "speaks HTTP": _says((b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", CLOSE)),
    "speaks Redis": _says(b"-ERR unknown command 'mg', with args beginning with: \r\n"),
    "speaks SSH": _says((b"SSH-2.0-OpenSSH_9.2p1\r\nProtocol mismatch.\r\n", CLOSE)),
    "too old": _says(b"ERROR\r\n"),
    "out of memory": _says(b"SERVER_ERROR out of memory storing object\r\n"),
    "a flood": _says((b"x" * 4_000_000, SILENCE)),
    "a flood of replies": _says((b"HD O1\r\n" * 500_000, SILENCE)),
    "a value without an end": lambda proxy: proxy.tamper(_endless_value),
}
