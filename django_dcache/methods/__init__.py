"""The methods of Django's cache API: Django's rules, then the short cut, then the operation.

common      made keys, and the keys of one call
sync        for threads
aio         for event loops
lifetimes   TTLs, by the names of django-redis
listing     which keys there are, and sweeps
swapping    compare and swap, and locks
dropping    for both, where values are kept in the process: what is written is dropped there
near        with a near cache in front
prefetching with the memory of a request in front
"""

from .aio import AsyncMethods
from .lifetimes import LifetimeMethods
from .listing import ListingMethods
from .near import NearMethods
from .prefetching import PrefetchMethods
from .swapping import SwappingMethods
from .sync import SyncMethods

__all__ = [
    "AsyncMethods",
    "LifetimeMethods",
    "ListingMethods",
    "NearMethods",
    "PrefetchMethods",
    "SwappingMethods",
    "SyncMethods",
]
