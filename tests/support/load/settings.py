"""Settings of a Django project whose fleet is named in the environment, for the processes that a test starts."""

import json
import os

SECRET_KEY = "tests"
CACHES = {
    "default": {
        "BACKEND": "django_dcache.backend.DistributedCache",
        **json.loads(os.environ["DCACHE_TEST_FLEET"]),
    }
}
USE_TZ = True
