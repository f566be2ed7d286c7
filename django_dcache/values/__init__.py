"""Values as (flags, bytes) and back, as the options of the alias say. Pure: no socket, no Django.

A codec is told the made key of each value, since a signed one is valid under its own key only. By default nothing is
compressed or signed, and the only cost of all this is one look-up by flags.

    plain           text, bytes, whole numbers, and anything else by the serializer
    serializers     pickle, json, msgpack, msgspec, or the site's own
    compressors     zlib, zstd, lz4
    classic         as the backend writes them that a site comes from
    conditions      the tags of a value, and when it is stale
    signature       the proof of a value under its key
    envelope        what is compressed, conditional or signed (docs/reference/envelope.md)
"""

from collections.abc import Callable, Container, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from ..errors import UnreadableValue
from ..model.stamps import unstamped
from . import classic, compressors, envelope, plain, serializers
from .chunks import InChunks
from .conditions import Conditional
from .signature import Signature, signature

READ_BYTES = 16 * 2**20
"""A reply with a value of this size is read whatever `max_value` is, since the fleet state is a value, too. What is
larger is a miss before it comes here, so that only a lower limit costs a look."""
PROVEN_VALUES, PROVEN_BYTES = 128, 2048
"""What was seen to be readable is remembered, this number of values of this size at most: what callers try to `add`
again and again (a lock, a mark that something is done) is decoded once."""


class Codec(NamedTuple):
    """How an alias stores values."""

    encode: plain.Encode
    decode: plain.Decode
    """Raises Conditional for what was encoded with conditions."""
    encode_conditional: plain.Encode
    """Of a pair: a value and its Conditions."""
    prove: Callable[[str, int, bytes], None]
    """Raises what `decode` raises. What was proven is remembered for a while."""
    certain: Container[int] = plain.NUMBERS
    """The flags of values that need not be looked at to know that they can be read."""

    def readable(self, made_key: str, flags: int, data: bytes | None) -> bool:
        """Whether `decode` can make a value of it. Without data: whether that is certain by the flags alone."""
        if data is None:
            return unstamped(flags) in self.certain
        try:
            (self.prove if len(data) <= PROVEN_BYTES else self.decode)(made_key, flags, data)
        except (UnreadableValue, Conditional):
            return False  # Whether conditions hold takes an operation to find out.
        except InChunks:
            return True
        return True


def codec_for(
    options: Any, fleet: str, secrets: Callable[[], Sequence[bytes]], coexists: Callable[[], bool] = lambda: False
) -> Codec:
    """The codec of an alias with these `Options`. `coexists`: whether classic clients read what is written now. Raises
    ConfigurationError."""

    @cache
    def proof() -> Signature:
        return signature(secrets(), fleet)

    most, beside = options.max_value, options.coexist
    strict = options.sign_values and not options.read_unsigned and not beside
    serializer = serializers.find(options.serializer, options.pickle_protocol)
    loads = plain.SIMPLE | serializers.loads(
        (options.serializer, *options.read_serializers, *(("pickle",) if beside in classic.MEMCACHED else ()))
    )
    encode = plain.encoder(serializer.dump, serializer.flags)
    if options.compress:
        compressor = compressors.find(compressors.NAMES[options.compress])
        encode = envelope.compressed(encode, compressor, options.compress_min_bytes, most)
    encode_conditional = envelope.conditional(encode)
    if options.sign_values:
        encode, encode_conditional = (envelope.signed(each, proof()) for each in (encode, encode_conditional))
    opened = envelope.opener(loads, proof, not strict, most)
    decode = plain.decoder(plain.NUMBERS if strict else loads, opened)
    if beside:
        encode = _by_turns(coexists, classic.encoder_beside(options), encode)
        decode = classic.decoder_beside(options, decode)
    if most < READ_BYTES:
        decode = envelope.limited(decode, most)

    @lru_cache(PROVEN_VALUES)
    def prove(made_key: str, flags: int, data: bytes) -> None:
        decode(made_key, flags, data)

    return Codec(encode, decode, encode_conditional, prove, plain.NUMBERS if strict else plain.SIMPLE)


def _by_turns(coexists: Callable[[], bool], classic: plain.Encode, own: plain.Encode) -> plain.Encode:
    def encode(made_key: str, value: Any) -> tuple[int, bytes]:
        return (classic if coexists() else own)(made_key, value)

    return encode


__all__ = ["Codec", "codec_for"]
