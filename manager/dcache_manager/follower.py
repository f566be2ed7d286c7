"""The public name of `invalidation.follower`."""

from .invalidation.follower import Follower

__all__ = ["Follower"]
