"""Rounds of an addition, as `Play` expects them: what is asked, and what the nodes say."""

from django_dcache.commands import Answer, Get, Refused, Store, Token, Value
from django_dcache.flows import Item
from support.small_fleets import K2, MOVER, K

DONE, MISS, TAKEN = Answer.DONE, Answer.MISS, Answer.NOT_STORED
OOM = Refused("SERVER_ERROR out of memory storing object")
ITEM = Item(16, b"new", 60)
GATE = Token(9, 1)
THERE = Value(None, 16)


def adds(name=K):
    return Store(name, 0, b"new", 16, 60, add=True)


def stores(name=K, token=None):
    return Store(name, 0, b"new", 16, 60, token=token)


def looks(name, node, reply):
    return {node: {Get(name, value=False): reply}}


def leased(reply):
    return {"c": {Get(MOVER, value=False, lease=True): reply}}


WON = leased(Value(None, token=GATE, won=True, stub=True))
BUSY = leased(Value(None, token=GATE, stub=True))


MINE, LEASE, VOID = Token(3, 1), Token(5, 2), Token(6, 2)
FREE = Value(None, token=LEASE, won=True, stub=True)
OURS = Value(None, 16, None, MINE)


def decides(reply, there=OURS, name=K2, node="a"):
    """The round in which the first of several copies decides."""
    return {node: {adds(name): reply, **sees(there, name, node)[node]}}


def alone(reply, there=MISS, name=K, node="a"):
    """The round in which an only copy decides."""
    return {node: {Get(name, peek=True): there, adds(name): reply}}


def sees(there, name=K, node="a"):
    """A look at what is there, and at its token."""
    return {node: {Get(name, token=True, peek=True): there}}


def asks(reply, name=K2, node="b"):
    """The round in which the second copy is leased."""
    return {node: {Get(name, value=False, lease=True): reply}}


def fills(reply, token=LEASE):
    """The round in which the second copy follows."""
    return {"b": {stores(K2, token): reply}}


def again(reply, there=OURS):
    """The rounds in which the second copy is leased once more, and the first one is looked at after that."""
    return asks(reply), {"a": {Get(K2, value=False, token=True, peek=True): there}}
