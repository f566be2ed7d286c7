"""The public name of `settings`."""

from .settings import Regions, own_queue, parse, queue, regions

__all__ = ["Regions", "own_queue", "parse", "queue", "regions"]
