"""The methods of Django's cache API: Django's rules, then the short cut, then the operation.

common      made keys, and the keys of one call
sync        for threads
aio         for event loops
dropping    for both, where values are kept in the process: what is written is dropped there
near        with a near cache in front
prefetching with the memory of a request in front
"""

from .aio import AsyncMethods
from .near import NearMethods
from .prefetching import PrefetchMethods
from .sync import SyncMethods

__all__ = ["AsyncMethods", "NearMethods", "PrefetchMethods", "SyncMethods"]
