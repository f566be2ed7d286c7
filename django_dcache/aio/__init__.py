"""The asyncio driver: for event loops what `Fleet.run` and `direct` are for threads."""

from .direct import get, get_many
from .runner import run

__all__ = ["get", "get_many", "run"]
