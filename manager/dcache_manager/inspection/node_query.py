"""Asking nodes about themselves: all at once, under one deadline, and without changing anything.

A node is hostile input. Whatever it says is cut to size, checked, and kept as text until a number is asked for.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from django_dcache.errors import NodeFailure, NodeTimeout, ProtocolViolation
from django_dcache.model.topology import Node
from django_dcache.transport.connection import Connection
from django_dcache.transport.pool import Limits

MAX_ANSWER_BYTES = 4 * 2**20
MAX_WORD_BYTES = 500


@dataclass(slots=True)
class Words:
    """What a node said. Every word is printable ASCII, everything else is escaped."""

    version: str = ""
    stats: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    values: dict[bytes, bytes] = field(default_factory=dict)
    """The documents that were asked for and are there."""
    complaint: str = ""
    """Why there is not more."""

    def number(self, name: str) -> int | None:
        """A statistic or setting; None unless it is a whole number of 64 bits."""
        word = self.stats.get(name, self.settings.get(name, ""))
        return int(word) if word.isdecimal() and len(word) < 20 else None


@dataclass(frozen=True, slots=True)
class Report:
    """One node's answers, and the failure that cut them short, if any."""

    node: Node
    words: Words
    failure: NodeFailure | None = None
    asked_at: float = 0.0
    """Unix time, in the middle of the dialogue."""
    seconds: float = 0.0
    """How long it took."""

    @property
    def answered(self) -> bool:
        """Whether the node is alive: it may still have said too little, or nonsense."""
        return bool(self.words.version or self.words.stats)


def survey(
    nodes: Iterable[Node],
    keys: Sequence[bytes],
    limits: Limits,
    seconds: float,
    more: Callable[[Report], Iterable[Node]] = lambda report: (),
) -> dict[str, Report]:
    """The report of each node by its address, `seconds` from now at the latest. `keys`: documents to fetch as well.

    `more` sees each report as it comes and returns nodes to ask too, as far as they have not been.
    """
    deadline = time.monotonic() + seconds
    came: queue.SimpleQueue[Report] = queue.SimpleQueue()
    asked: dict[str, Node] = {}
    reports: dict[str, Report] = {}

    def ask_all(newcomers: Iterable[Node]) -> None:
        for node in newcomers:
            if node.address not in asked:
                asked[node.address] = node
                # A daemon: a name server that does not answer can't be interrupted, and must not be waited for.
                threading.Thread(
                    target=lambda node=node: came.put(ask(node, keys, limits, deadline)), daemon=True
                ).start()

    ask_all(nodes)
    while len(reports) < len(asked):
        try:
            # A thread that ends at the deadline has its last word a moment later.
            report = came.get(timeout=max(0.0, deadline - time.monotonic()) + 0.1)
        except queue.Empty:
            break
        reports[report.node.address] = report
        ask_all(more(report))
    for address, node in asked.items():
        reports.setdefault(address, Report(node, Words(), NodeTimeout(node=node.name)))
    return reports


def ask(node: Node, keys: Sequence[bytes], limits: Limits, deadline: float) -> Report:
    """One node's report. `deadline` is monotonic. Never raises."""
    request = b"stats\r\nstats settings\r\n" + b"".join(b"get %b\r\n" % key for key in keys) + b"version\r\n"
    began, began_at = time.time(), time.monotonic()
    answer, failure = exchange(node, request, _complete, limits, deadline)
    words = parse(answer, keys)
    if failure is None and words.complaint:
        failure = ProtocolViolation(words.complaint, node=node.name)
    took = time.monotonic() - began_at
    return Report(node, words, failure, began + took / 2, took)


def exchange(
    node: Node, request: bytes, complete: Callable[[bytes], bool], limits: Limits, deadline: float
) -> tuple[bytes, NodeFailure | None]:
    """What a node answers to `request` on a connection of its own, and what cut it short."""
    answer = bytearray()
    try:
        left = deadline - time.monotonic()
        connection = Connection.open(node.name, limits.endpoint(node), max(0.001, left), limits.tls)
        try:
            unsent = memoryview(request)
            while not complete(bytes(answer[-MAX_WORD_BYTES:])):
                if unsent:
                    unsent = unsent[connection.send(unsent) :]
                left = deadline - time.monotonic()
                if left <= 0 or not connection.poller.poll(left * 1000):
                    raise NodeTimeout(node=node.name)
                answer += connection.receive() or b""
                if len(answer) > MAX_ANSWER_BYTES:
                    raise ProtocolViolation("an answer without an end", node=node.name)
        finally:
            connection.close()
    except NodeFailure as failure:
        return bytes(answer), failure
    return bytes(answer), None


def _complete(answer: bytes) -> bool:
    """Whether the last line is the reply to the last command."""
    return answer.endswith(b"\r\n") and answer[:-2].rpartition(b"\n")[2].startswith(b"VERSION ")


def parse(answer: bytes, keys: Sequence[bytes]) -> Words:
    """The words in an answer, as far as it makes sense."""
    words = Words()
    try:
        words.stats, rest = _table(answer)
        words.settings, rest = _table(rest)
        for key in keys:
            value, rest = _value(rest, key)
            if value is not None:
                words.values[key] = value
        line, _ = _line(rest)
        if not line.startswith(b"VERSION "):
            raise _Nonsense(f"{_word(line)!r} instead of a version")
        words.version = _word(line[8:])
    except _Nonsense as nonsense:
        words.complaint = str(nonsense)
    return words


class _Nonsense(Exception):
    """What follows can't be read."""


def _line(data: bytes) -> tuple[bytes, bytes]:
    line, end, rest = data.partition(b"\r\n")
    if not end:
        raise _Nonsense("the answer stops in the middle")
    return line, rest


def _table(data: bytes) -> tuple[dict[str, str], bytes]:
    """The STAT lines until END; none where the node refuses to tell."""
    found: dict[str, str] = {}
    while True:
        line, data = _line(data)
        if line == b"END" or (not found and line.startswith((b"ERROR", b"CLIENT_ERROR", b"SERVER_ERROR"))):
            return found, data
        kind, _, pair = line.partition(b" ")
        name, _, value = pair.partition(b" ")
        if kind != b"STAT" or not name:
            raise _Nonsense(f"{_word(line)!r} among the statistics")
        found[_word(name)] = _word(value)


def _value(data: bytes, key: bytes) -> tuple[bytes | None, bytes]:
    """The reply to one `get`."""
    line, data = _line(data)
    if line == b"END" or line.startswith((b"ERROR", b"CLIENT_ERROR", b"SERVER_ERROR")):
        return None, data
    head, _, size = line.rpartition(b" ")
    if not head.startswith(b"VALUE %b " % key) or not size.isdigit() or len(size) > 8:
        raise _Nonsense(f"{_word(line)!r} instead of a value")
    value, tail = data[: int(size)], data[int(size) :]
    if not tail.startswith(b"\r\nEND\r\n"):
        raise _Nonsense("a value that does not end where it should")
    return value, tail[7:]


def _word(data: bytes) -> str:
    text = data[:MAX_WORD_BYTES].decode("latin-1")
    return "".join(c if " " <= c <= "~" else f"\\x{ord(c):02x}" for c in text)
