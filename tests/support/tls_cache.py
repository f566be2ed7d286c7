"""The cache over TLS, where all that can be chosen are the name of a backend, options in JSON, and the environment."""

import functools
import os
import ssl

from django_dcache.backend import DistributedCache

AUTHORITY = "DCACHE_TESTS_AUTHORITY"
"""The variable that names the file of the authority to trust."""


class TlsCache(DistributedCache):
    def __init__(self, location, params):
        super().__init__(location, params | {"OPTIONS": params.get("OPTIONS", {}) | {"tls": _context()}})


@functools.cache
def _context():
    return ssl.create_default_context(cafile=os.environ[AUTHORITY])
