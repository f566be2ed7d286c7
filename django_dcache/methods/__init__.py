"""The methods of Django's cache API: Django's rules, then the short cut, then the operation.

common      made keys, and the keys of one call
sync        for threads
aio         for event loops
"""

from .aio import AsyncMethods
from .sync import SyncMethods

__all__ = ["AsyncMethods", "SyncMethods"]
