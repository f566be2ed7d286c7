"""Mistakes to be planted in a running copy of the product: each breaks one rule, and a drill has to find it.

mistakes           one function each; the drills that show them
seams              how the product is changed: objects replaced wherever they are bound, flows altered on their way
careless_sockets   sockets that make of a careful client a careless one

python -m tests.support.planted_mistakes MISTAKE [SECONDS [SEED]]      a drill of the product with this mistake
"""

from .mistakes import MISTAKES, plan

__all__ = ["MISTAKES", "plan"]
