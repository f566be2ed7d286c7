"""Commands and replies of a count."""

from django_dcache.commands import Arithmetic, Get, Value


def adds(name, delta=1, generation=0):
    return Arithmetic(name, generation, delta)


def number(digits):
    return Value(b"%d" % digits)


def looks(name, generation=0):
    return Get(name, generation, ttl=True, token=True)
