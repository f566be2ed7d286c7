"""The methods of Django's cache API: Django's rules, then the short cut, then the operation.

common      made keys, and the keys of one call
sync        for threads
aio         for event loops
"""

from .aio import AsyncMethods
from .near import NearMethods
from .sync import SyncMethods

__all__ = ["AsyncMethods", "NearMethods", "SyncMethods"]
