"""The short cut: straight to the nodes of a key, when nothing is moving and nothing is in doubt.

It does what the flows would do and no more; tests/integration/test_direct.py proves them equal. Whatever is not plainly
in order is left to the flow, except a write whose reply was lost: that one may have happened, or may happen when its
node wakes, so it is bumped and never sent again.
"""

from .known import Known, Spot, TakeFlow, look_up

__all__ = ["Known", "Spot", "TakeFlow", "look_up"]
