"""Copying items to a node that may lack them, under a lease: the only way anything is ever copied
(docs/explanation/protocol.md#leases).

The lease is taken on the target before the source is read. A write that comes in between goes to the source first and
to the target second: it either is seen by our read, or voids our token. So a fill never brings an old value back.
"""

from collections.abc import Collection, Mapping

from ..commands import Answer, Command, Get, Refused, Remove, Store, Token, Value, is_copyable, is_item
from ..errors import NodeFailure
from ..model.view import Place, Standing, View
from . import Flow


class Filled(dict[bytes, Value]):
    """The value of each name that was found, on the target or at a source; and what was done on the way."""

    filled = 0
    """Stored on the target."""
    size = 0
    """Bytes of them."""
    gone = 0
    """No copy had it any more."""
    failed = 0
    """Not on the target, because a node did not answer or another client holds the lease."""
    busy = 0
    """Of these, how many another client fills, or has just written."""
    silent: Collection[bytes] = ()
    """The names for which no source answered."""


def fill(
    view: View, places: Mapping[bytes, Place], target: str, value: bool = True, share: bool = False
) -> Flow[Filled]:
    """Bring each name to `target` from where its route says (`route.fill`). Three rounds, whatever the number of names.

    Without `value` the caller doesn't care what is on the target already, and only its existence is asked for. With
    `share` it fills under leases of others too, who seem to be dead: the token of their stub, seen before the source is
    read, is as good as theirs. Of two who fill with one token the second finds it void. A view that is not proven fills
    nothing: what it finds at a source may have been disowned, and every process would read it on the target.
    """
    found = Filled()
    tokens: dict[bytes, Token] = {}
    taken: set[bytes] = set()
    asks = {
        name: Get(name, view.generation(target, slot), value, ttl=value, lease=True)
        for name, (_, slot) in places.items()
        if view.proven and view.standing(target, slot) is Standing.OPEN
    }
    if asks:
        for name, reply in zip(asks, (yield {target: [*asks.values()]})[target], strict=True):
            if type(reply) is not Value:
                continue
            if not reply.stub:
                found[name] = reply
            elif reply.token and (reply.won or share):
                tokens[name] = reply.token
            else:
                taken.add(name)
    missing = {name: place for name, place in places.items() if name not in found} if found else places
    copies, silent = yield from _read_sources(view, missing)
    if tokens:
        yield from _store(view, places, target, tokens, copies, found)
    found |= copies
    found.silent = silent
    found.gone = len(missing) - len(copies) - len(silent)
    found.failed += sum(name not in tokens for name in copies) + len(silent)
    found.busy += sum(name in copies for name in taken)
    return found


def _read_sources(view: View, places: Mapping[bytes, Place]) -> Flow[tuple[dict[bytes, Value], set[bytes]]]:
    """The first answer among the sources of each name, and the names for which none of them answered."""
    found: dict[bytes, Value] = {}
    silent: set[bytes] = set(places)
    for rank in range(max((len(place.route.fill) for place in places.values()), default=0)):
        batches: dict[str, list[Command]] = {}
        asked: dict[str, list[bytes]] = {}
        for name, (route, slot) in places.items():
            if name in found or rank >= len(route.fill):
                continue
            source = route.fill[rank]
            standing = view.standing(source, slot)
            if standing is Standing.OPEN or standing is Standing.CLOSED:
                batches.setdefault(source, []).append(Get(name, view.generation(source, slot), ttl=True))
                asked.setdefault(source, []).append(name)
            elif standing is Standing.EMPTY:
                silent.discard(name)
        replies = (yield batches) if batches else {}
        for source, names in asked.items():
            for name, reply in zip(names, replies[source], strict=True):
                if isinstance(reply, NodeFailure):
                    continue
                silent.discard(name)
                if is_item(reply):
                    found[name] = reply
    return found, silent


def _store(
    view: View,
    places: Mapping[bytes, Place],
    target: str,
    tokens: Mapping[bytes, Token],
    copies: Mapping[bytes, Value],
    found: Filled,
) -> Flow[None]:
    """Use each token once: for the value found, or to take the stub away again.

    A lost reply needs no bump here: what may arrive late is what the source holds, or is void by its token.
    """
    commands: list[Store | Remove] = []
    for name, token in tokens.items():
        generation, value = view.generation(target, places[name].slot), copies.get(name)
        if is_copyable(value):
            commands.append(Store(name, generation, value.data or b"", value.flags, value.ttl, token=token))
        else:
            commands.append(Remove(name, generation, token))
    for command, reply in zip(commands, (yield {target: commands})[target], strict=True):
        if isinstance(command, Remove):
            continue
        if reply is Answer.DONE:
            found.filled += 1
            found.size += len(command.data)
        elif not isinstance(reply, Refused):
            found.failed += 1
            found.busy += not isinstance(reply, NodeFailure)
