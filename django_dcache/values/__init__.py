"""Values as (flags, bytes) and back, as the options of the alias say. Pure: no socket, no Django.

A codec is told the made key of each value, since a signed one is valid under its own key only.
"""

from collections.abc import Callable
from functools import partial
from pickle import HIGHEST_PROTOCOL
from typing import Any, NamedTuple

from ..errors import UnreadableValue
from . import plain


class Codec(NamedTuple):
    """How an alias stores values."""

    encode: Callable[[str, Any], tuple[int, bytes]]
    """(flags, bytes) of a value under a made key. Raises what the serializer raises."""
    decode: Callable[[str, int, bytes], Any]
    """The value that was encoded under this made key. Raises UnreadableValue."""


def codec_for(options: Any) -> Codec:
    """The codec of these `Options`."""
    protocol = options.pickle_protocol
    encode = plain.encode if protocol == HIGHEST_PROTOCOL else partial(plain.encode, protocol=protocol)
    return Codec(encode, plain.decode)


__all__ = ["Codec", "UnreadableValue", "codec_for"]
