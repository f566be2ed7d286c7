"""What a page is going to read, in one round before it reads it.

templates   keys with places for what a request brings along
learning    which keys the requests of a route read
request     what a request brings along
declared    keys that a view declares by hand
middleware  the middleware that learns and fetches

`cache.prefetch(keys)` is below all of this; see docs/explanation/near.md#the-memory-of-a-request.
"""

from .declared import prefetch_keys
from .middleware import PrefetchMiddleware

__all__ = ["PrefetchMiddleware", "prefetch_keys"]
