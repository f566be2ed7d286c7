"""What each method of Django's cache API means for a fleet, written once for threads and for event loops.

An operation is a generator: it yields flows to be run, receives their results, and returns what Django's method does.

    common      keys, values, timeouts; here, and only here, a failure becomes a miss, False or an exception
    reading     get, get_many
    writing     set, delete, add, touch, incr, clear
    swapping    compare and swap, and set with nx, xx or get
    loading     get_or_set
"""

from .common import ABSENT, OVER
from .loading import Loading as Operations

__all__ = ["ABSENT", "OVER", "Operations"]
