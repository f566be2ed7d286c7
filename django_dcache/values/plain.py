"""The kinds of values that need no envelope. The flags are pymemcache's, so a fleet filled by Django's own backend is
readable.

Whole numbers of 64 bits are stored as digits, as Django's own backend stores them: the node can count with those from
0 on, and `flows/count.py` with those below.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import UnreadableValue
from ..model.stamps import unstamped

BYTES, PICKLE, INTEGER, LONG, TEXT = 0, 1, 2, 4, 16
FOREIGN = 1 << 29
"""The flags of bytes without flags, of which it is not known what wrote them."""
RAW = FOREIGN | 1
"""The flags of bytes that are to be stored without any, for software that knows none."""
LEAST, MOST = -(2**63), 2**64 - 1
"""What is stored as digits: numbers of 64 bits, with a sign or without."""
_number = re.compile(rb"-?\d+ *").fullmatch  # int() takes more; spaces are what counting down may leave

Encode = Callable[[str, Any], tuple[int, bytes]]
"""(flags, bytes) of a value under a made key. Raises what the serializer raises, and ValueTooLarge for what its reader
would not unpack."""
Decode = Callable[[str, int, bytes], Any]
"""The value that was encoded under this made key. Raises UnreadableValue, and InChunks."""
Load = Callable[[bytes], Any]
"""The value in some bytes. Raises anything."""


def _whole_number(data: bytes) -> int:
    if not _number(data):
        raise ValueError(f"{data[:20]!r} is no whole number")
    return int(data)


NUMBERS: dict[int, Load] = {INTEGER: _whole_number, LONG: _whole_number}
SIMPLE: dict[int, Load] = {BYTES: bytes, TEXT: bytes.decode, **NUMBERS}
"""How to load what no serializer made, by flags."""


def encoder(dump: Callable[[Any], bytes], dumped: int) -> Encode:
    """Text, bytes and whole numbers as they are, anything else by `dump` under the flags `dumped`."""

    def encode(made_key: str, value: Any) -> tuple[int, bytes]:
        kind = type(value)
        if kind is str:
            try:
                return TEXT, value.encode()
            except UnicodeEncodeError:
                pass  # A lone surrogate: pickle can.
        elif kind is bytes:
            return BYTES, value
        elif kind is int and LEAST <= value <= MOST:
            return INTEGER, b"%d" % value
        return dumped, dump(value)

    return encode


def decoder(loads: Mapping[int, Load], beyond: Decode) -> Decode:
    """By flags; what has others goes `beyond`."""

    def decode(made_key: str, flags: int, data: bytes) -> Any:
        load = loads.get(flags)
        if load is None:
            kind = unstamped(flags)
            return beyond(made_key, flags, data) if kind == flags else decode(made_key, kind, data)
        try:
            return load(data)
        except (Exception, SystemExit) as error:
            # Unpickling runs the class's own code: anything may come out of it.
            raise UnreadableValue(f"{type(error).__name__}: {error}") from error

    return decode
