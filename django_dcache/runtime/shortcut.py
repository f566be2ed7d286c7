"""Get, set, delete and count of one key in two system calls a copy."""

from collections.abc import Sequence
from socket import MSG_WAITALL

from ..engines.memcached.protocol import exptime
from ..engines.memcached.speed import header
from ..errors import NodeTimeout
from ..flows.consensus import bump
from ..transport.connection import Connection
from ..transport.pool import Pool
from . import budget
from .fleet import Fleet
from .plan import Known, Spot, TakeFlow, begin, look_up, take

FIRST_CHUNK = 4096
LONGEST = len(f"{2**64}\r\n")
_TWO_64 = 2**64
_REFUSED = b"refused"

_words = {b"ms": (b"HD",), b"md": (b"HD", b"NF"), b"ma": (b"NF",)}


def get(fleet: Fleet, made_key: str) -> tuple[int, bytes] | None:
    """(flags, data), or None for a miss of every copy. Raises TakeFlow, InvalidKey."""
    began = asked = begin(fleet)
    known: Known = fleet.view.known.get(made_key) or look_up(fleet, made_key)  # No call of ours for what is known.
    for _, pool, key, _ in known.copies:
        connection = take(pool, began, writes=False)
        opaque = connection.opaque
        connection.opaque = opaque + 1
        try:
            stream = connection.socket
            stream.send(b"mg %b v f O%d\r\n" % (key, opaque))
            data = stream.recv(FIRST_CHUNK)
            value = header(data, opaque)
            if value:
                flags, start, stop = value
                if len(data) < stop + 2:
                    data += stream.recv(stop + 2 - len(data), MSG_WAITALL)
                if data[stop:] == b"\r\n":
                    pool.idle.append(connection)
                    if not known.last:
                        pool.answered(fleet.clock() - asked)
                    return flags, data[start:stop]
            # A stub is a miss too: somebody is loading.
            elif data == b"EN O%d\r\n" % opaque or data == b"VA 0 f0 O%d Z\r\n\r\n" % opaque:
                pool.idle.append(connection)
                if not known.last:
                    asked = fleet.clock()
                continue
        except OSError:
            pass  # Out of time, or closed by the node: the flow asks again, another copy or over another connection.
        break
    else:
        if known.whole:
            return None
        raise TakeFlow
    # Whatever else is raised drops the connection, or comes when it is back already and another thread may use it.
    connection.close()
    waited = fleet.clock() - began
    budget.spend(waited)
    pool.lost(connection, NodeTimeout(), waited, fleet.options.timeout)
    raise TakeFlow(began + fleet.options.timeout)


def store(fleet: Fleet, made_key: str, flags: int, data: bytes, ttl: float | None) -> bool:
    """Whether the value can be read now. Raises TakeFlow, InvalidKey."""
    began = begin(fleet)
    known: Known = fleet.view.known.get(made_key) or look_up(fleet, made_key)
    said = _tell(
        fleet,
        began,
        known,
        b"ms",
        b" %d F%d T%d" % (len(data), flags, exptime(ttl, fleet.view.wall_clock())),
        data + b"\r\n",
    )
    if said.count(b"HD") == len(said):
        return True
    harmless = _bumped(fleet, known, said)
    if _REFUSED in said:
        raise TakeFlow  # The flow removes what was there before.
    return b"HD" in said and harmless


def remove(fleet: Fleet, made_key: str) -> tuple[bool, bool]:
    """Whether there was something, and whether nobody can read it any more. Raises TakeFlow, InvalidKey."""
    began = begin(fleet)
    known: Known = fleet.view.known.get(made_key) or look_up(fleet, made_key)
    said = _tell(fleet, began, known, b"md", b"", b"")
    if None not in said and _REFUSED not in said:
        return b"HD" in said, True
    harmless = _bumped(fleet, known, said)
    if _REFUSED in said:
        raise TakeFlow  # The flow asks again, and disowns what refuses again.
    return b"HD" in said, harmless


def count(fleet: Fleet, made_key: str, delta: int) -> int | None:
    """The new number as it is stored, or None if there is none. Raises TakeFlow, InvalidKey."""
    began = begin(fleet)
    known: Known = fleet.view.known.get(made_key) or look_up(fleet, made_key)
    said = _tell(fleet, began, known, b"ma", b" v" if delta == 1 else b" D%d v" % (delta % _TWO_64), b"")
    if len(said) == 1 and said[0] is not None and said[0].isdigit():
        return int(said[0])
    number = next((int(word) for word in said if word is not None and word.isdigit()), None)
    if None not in said and _REFUSED not in said:
        return number
    if None not in said and number is None:
        raise TakeFlow  # Not a number anywhere: the flow finds out whether it is a stub.
    # A copy that refused to count is behind the others from now on.
    if not _bumped(fleet, known, [None if word is _REFUSED else word for word in said]):
        return None
    return number


def _tell(fleet: Fleet, began: float, known: Known, verb: bytes, middle: bytes, tail: bytes) -> Sequence[bytes | None]:
    """What each copy said to one command: its word, or the number it counted to; None where the reply is lost.

    `began`: before the view was looked up. `tail`: what follows the command's line.
    """
    if len(known.write) == 1:
        (spot,) = known.write
        connection = take(spot.pool, began)
        _say(connection, verb, spot.key, middle, tail)
        sent_at = fleet.clock()
        word = _hear(connection, verb)
        if word == b"HD":
            spot.pool.idle.append(connection)
        else:
            _part(fleet, began, spot.pool, connection, word)
        said = [word]
    elif known.write:
        said, sent_at = _tell_all(fleet, began, known, verb, middle, tail)
    else:
        raise TakeFlow
    if sent_at - began > fleet.options.timeout:
        # This process stood still, and may have sent by a view that others have stopped counting on.
        return [None] * len(said)
    return said


def _tell_all(
    fleet: Fleet, began: float, known: Known, verb: bytes, middle: bytes, tail: bytes
) -> tuple[list[bytes | None], float]:
    talks: list[tuple[Spot, Connection]] = []
    try:
        for spot in known.write:
            talks.append((spot, take(spot.pool, began)))
    except TakeFlow:
        for spot, connection in talks:
            spot.pool.idle.append(connection)
        raise
    try:
        for spot, connection in talks:
            _say(connection, verb, spot.key, middle, tail)
        sent_at = fleet.clock()
        # The last one first: by the time it has answered the others have too, and nobody was woken for them.
        said = [_hear(connection, verb) for _, connection in reversed(talks)]
        said.reverse()
    except BaseException:
        for _, connection in talks:
            connection.close()
        if verb == b"ma":
            fleet.miscounted([spot.node for spot in known.write], known.slot)
        raise
    for (spot, connection), word in zip(talks, said, strict=True):
        _part(fleet, began, spot.pool, connection, word)
    return said, sent_at


def _say(connection: Connection, verb: bytes, key: bytes, middle: bytes, tail: bytes) -> None:
    command = b"%b %b%b O%d\r\n%b" % (verb, key, middle, connection.opaque, tail)
    connection.opaque += 1
    try:
        if connection.socket.send(command) != len(command):
            connection.close()
    except OSError:
        connection.close()


def _hear(connection: Connection, verb: bytes) -> bytes | None:
    try:
        data: bytes = connection.socket.recv(FIRST_CHUNK)
    except OSError:
        return None  # Out of time, closed by the node, or by us when it could not be sent.
    word, echo = data[:2], b" O%d\r\n" % (connection.opaque - 1)
    if word in _words[verb]:
        return word if data[2:] == echo else None
    if word == b"VA" and verb == b"ma":
        head, _, padded = data.partition(echo)
        number = padded.rstrip(b" \r\n")  # Counting down may leave spaces.
        whole = number.isdigit() and padded.endswith(b"\r\n") and head == b"VA %d" % (len(padded) - 2)
        return number if whole and len(padded) <= LONGEST else None
    refused = data.startswith(b"SERVER_ERROR") or (verb == b"ma" and data.startswith(b"CLIENT_ERROR cannot increment"))
    return _REFUSED if refused else None


def _part(fleet: Fleet, began: float, pool: Pool, connection: Connection, word: bytes | None) -> None:
    """Give the connection back, unless something may still come over it."""
    if word is not None and word is not _REFUSED:
        pool.idle.append(connection)
        return
    connection.close()
    if word is None:
        pool.lost(connection, NodeTimeout(), fleet.clock() - began, fleet.options.timeout)


def _bumped(fleet: Fleet, known: Known, said: Sequence[bytes | None]) -> bool:
    """Whether what the silent copies hold, or will hold when their nodes wake, is out of everybody's reach."""
    lost = {(spot.node, known.slot) for spot, word in zip(known.write, said, strict=True) if word is None}
    return not lost or fleet.run(bump, lost)
