"""Mistakes to be planted in a running copy of the product: each breaks one rule, and a drill has to find it.

registry           the mistakes by name; the drills that show them
careless_*         one function each
seams              how the product is changed: objects replaced wherever they are bound, flows altered on their way
careless_sockets   sockets that make of a careful client a careless one

python -m tests.support.planted_mistakes MISTAKE [SECONDS [SEED]]      a drill of the product with this mistake
"""

from . import careless_agreement, careless_memory, careless_operations, careless_redis
from .registry import MISTAKES, plan

__all__ = ["MISTAKES", "careless_agreement", "careless_memory", "careless_operations", "careless_redis", "plan"]
