"""Values as (flags, bytes) and back. The flags are pymemcache's, so a fleet filled by Django's own backend is readable.

Whole numbers that fit 64 bits are stored as digits, negative ones as two's complement: the node can count with them,
and adding modulo 2^64 passes zero in both directions without a round trip.
"""

import pickle
import re
from typing import Any

from ..errors import UnreadableValue

BYTES, PICKLE, INTEGER, LONG, TEXT = 0, 1, 2, 4, 16
_HALF, _WHOLE = 2**63, 2**64
_number = re.compile(rb"-?\d+ *").fullmatch  # int() takes more; spaces are what counting down may leave


def signed(number: int) -> int:
    """A stored number as the one that was meant. From 2^64 on, another client wrote it and meant what it wrote."""
    return number - _WHOLE if _HALF <= number < _WHOLE else number


def encode(made_key: str, value: Any, protocol: int = pickle.HIGHEST_PROTOCOL) -> tuple[int, bytes]:
    """(flags, bytes) of any picklable value. Raises what pickle raises."""
    kind = type(value)
    if kind is str:
        try:
            return TEXT, value.encode()
        except UnicodeEncodeError:
            pass  # A lone surrogate: pickle can.
    elif kind is bytes:
        return BYTES, value
    elif kind is int and -_HALF <= value < _HALF:
        return INTEGER, b"%d" % (value % _WHOLE)
    return PICKLE, pickle.dumps(value, protocol)


def decode(made_key: str, flags: int, data: bytes) -> Any:
    """The value that was encoded. Raises UnreadableValue."""
    try:
        if flags == PICKLE:
            return pickle.loads(data)
        if flags == TEXT:
            return data.decode()
        if flags == BYTES:
            return data
        if flags in (INTEGER, LONG) and _number(data):
            return signed(int(data))
    except Exception as error:
        # Unpickling runs the class's own code: anything may come out of it.
        raise UnreadableValue(f"{type(error).__name__}: {error}") from error
    raise UnreadableValue(f"flags {flags} on {data[:20]!r}")
