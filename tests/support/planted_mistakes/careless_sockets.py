"""Sockets that make of a careful client a careless one, whatever its code looks like.

What a client that checks nothing would take for its reply is made to pass the checks of one that does: every reply
gets the number of the command that was sent last, one reply at a time; a value that ends early is filled up; a
connection that was closed with a reply on its way comes back as the next one to the same node.
"""

import os
import re
import socket
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from django_dcache.engines.memcached.greeting import ANSWER, QUESTION

_opaque = re.compile(rb"(?<= O)\d+(?=[ \r])")
_value = re.compile(rb"\AVA (\d+)[^\n]*\n")
_CHUNK_BYTES = 65536

_receive, _send, _connect, _close = (getattr(socket.socket, name) for name in ("recv", "send", "connect_ex", "close"))


class _Dialogue:
    """What is going on over one socket."""

    def __init__(self) -> None:
        self.last = b""
        """The number of the last command."""
        self.single = False
        """Whether it was sent alone."""
        self.asked = False
        """Whether its reply has not been read."""
        self.held = b""
        """Read from the socket, and not given to the client yet."""
        self.due = 0
        """Bytes of a value that the client has yet to be given."""
        self.peer: Any = None
        self.returned = False
        """Whether it was closed, and is open again: its client takes it for new, and waits to be greeted."""


_dialogues: "WeakKeyDictionary[socket.socket, _Dialogue]" = WeakKeyDictionary()


def _dialogue(stream: socket.socket) -> _Dialogue:
    return _dialogues.setdefault(stream, _Dialogue())


def _sending(stream: socket.socket, data: Any, *flags: int) -> int:
    dialogue, numbers = _dialogue(stream), _opaque.findall(bytes(data))
    if dialogue.returned and data == QUESTION:
        dialogue.held, dialogue.single, dialogue.returned = ANSWER, True, False
        return len(data)
    if numbers:
        dialogue.last, dialogue.single, dialogue.asked = numbers[-1], len(numbers) == 1, True
    return _send(stream, data, *flags)


def any_reply() -> None:
    """The next reply is the one to the last command, whichever command it answers."""

    def receive(stream: socket.socket, size: int, *flags: int) -> bytes:
        dialogue = _dialogue(stream)
        if not dialogue.single:
            return _receive(stream, size, *flags)
        if dialogue.due and not dialogue.held:
            given = _receive(stream, min(size, dialogue.due), *flags)
            dialogue.due -= len(given)
            return given
        if not dialogue.held:
            dialogue.held = _receive(stream, _CHUNK_BYTES, *(flag & ~socket.MSG_WAITALL for flag in flags))
        if dialogue.due:
            given, dialogue.held = dialogue.held[: min(size, dialogue.due)], dialogue.held[min(size, dialogue.due) :]
            dialogue.due -= len(given)
            return given
        head, newline, rest = dialogue.held.partition(b"\n")
        reply = _opaque.sub(dialogue.last, head + newline)
        dialogue.asked = False
        found = _value.match(reply)
        whole = int(found[1]) + 2 if found else 0
        room = max(0, size - len(reply))
        given, dialogue.held = rest[: min(whole, room)], rest[min(whole, room) :]
        dialogue.due = whole - len(given)
        return reply + given

    _install(recv=receive, send=_sending)


def short_values() -> None:
    """A value that ends early is a value: its end is made up."""

    def receive(stream: socket.socket, size: int, *flags: int) -> bytes:
        dialogue = _dialogue(stream)
        try:
            data = _receive(stream, size, *flags)
        except ConnectionError:
            data = b""
        if dialogue.due and not data:
            data = (bytes(max(0, dialogue.due - 2)) + b"\r\n")[-dialogue.due :][:size]
        if found := _value.match(data):
            dialogue.due = len(found[0]) + int(found[1]) + 2
        dialogue.due = max(0, dialogue.due - len(data))
        return data

    _install(recv=receive)


def returned_connections() -> None:
    """A connection that is closed with a reply on its way is not closed, but given to the next call to that node."""
    idle: dict[Any, list[tuple[int, _Dialogue]]] = {}

    def connect(stream: socket.socket, address: Any) -> int:
        waiting = idle.get(address)
        if waiting:
            number, old = waiting.pop()
            os.dup2(number, stream.fileno())
            os.close(number)
            old.returned = True
            _dialogues[stream] = old
        _dialogue(stream).peer = address
        return 0 if waiting else _connect(stream, address)

    def close(stream: socket.socket) -> None:
        dialogue = _dialogues.get(stream)
        if dialogue and dialogue.asked and dialogue.peer and stream.fileno() >= 0:
            idle.setdefault(dialogue.peer, []).append((os.dup(stream.fileno()), dialogue))
            dialogue.asked = False
        _close(stream)

    any_reply()
    _install(connect_ex=connect, close=close)


def _install(**methods: Callable[..., Any]) -> None:
    for name, method in methods.items():
        setattr(socket.socket, name, method)
