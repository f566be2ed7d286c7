"""Where keys lie."""


def copies(cache, key):
    """The nodes that hold `key`, the first first."""
    return cache.fleet.view.place(cache.make_key(key).encode()).route.read
