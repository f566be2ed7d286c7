"""The kinds of values that need no envelope. The flags are pymemcache's, so a fleet filled by Django's own backend is
readable.

Whole numbers that fit 64 bits are stored as digits, negative ones as two's complement: the node can count with them,
and adding modulo 2^64 passes zero in both directions without a round trip.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import UnreadableValue, ValueTooLarge

BYTES, PICKLE, INTEGER, LONG, TEXT = 0, 1, 2, 4, 16
_HALF, _WHOLE = 2**63, 2**64
_number = re.compile(rb"-?\d+ *").fullmatch  # int() takes more; spaces are what counting down may leave

Encode = Callable[[str, Any], tuple[int, bytes]]
"""(flags, bytes) of a value under a made key. Raises what the serializer raises, and ValueTooLarge."""
Decode = Callable[[str, int, bytes], Any]
"""The value that was encoded under this made key. Raises UnreadableValue."""
Load = Callable[[bytes], Any]
"""The value in some bytes. Raises anything."""


def signed(number: int) -> int:
    """A stored number as the one that was meant. From 2^64 on, another client wrote it and meant what it wrote."""
    return number - _WHOLE if _HALF <= number < _WHOLE else number


def _whole_number(data: bytes) -> int:
    if not _number(data):
        raise ValueError(f"{data[:20]!r} is no whole number")
    return signed(int(data))


NUMBERS: dict[int, Load] = {INTEGER: _whole_number, LONG: _whole_number}
SIMPLE: dict[int, Load] = {BYTES: bytes, TEXT: bytes.decode, **NUMBERS}
"""How to load what no serializer made, by flags."""


def encoder(dump: Callable[[Any], bytes], dumped: int, most: int) -> Encode:
    """Text, bytes and whole numbers as they are, anything else by `dump` under the flags `dumped`; of at most `most`
    bytes."""

    def encode(made_key: str, value: Any) -> tuple[int, bytes]:
        kind = type(value)
        if kind is str:
            try:
                flags, data = TEXT, value.encode()
            except UnicodeEncodeError:  # A lone surrogate: pickle can.
                flags, data = dumped, dump(value)
        elif kind is bytes:
            flags, data = BYTES, value
        elif kind is int and -_HALF <= value < _HALF:
            return INTEGER, b"%d" % (value % _WHOLE)
        else:
            flags, data = dumped, dump(value)
        if len(data) > most:
            raise ValueTooLarge(f"{len(data):,} bytes, and max_value is {most:,}")
        return flags, data

    return encode


def decoder(loads: Mapping[int, Load], beyond: Decode) -> Decode:
    """By flags; what has others goes `beyond`."""

    def decode(made_key: str, flags: int, data: bytes) -> Any:
        if flags not in loads:
            return beyond(made_key, flags, data)
        try:
            return loads[flags](data)
        except Exception as error:
            # Unpickling runs the class's own code: anything may come out of it.
            raise UnreadableValue(f"{type(error).__name__}: {error}") from error

    return decode
