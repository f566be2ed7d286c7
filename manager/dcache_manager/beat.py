"""The public name of `messaging.schedule`."""

from .messaging.schedule import schedule

__all__ = ["schedule"]
