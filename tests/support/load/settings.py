"""Settings of a Django project whose fleet is named in the environment, for the processes that a test starts."""

import json
import os
from pathlib import Path

from support.host_names import HostNames

SECRET_KEY = "tests"
CACHES = {
    "default": {
        "BACKEND": "django_dcache.backend.DistributedCache",
        **json.loads(os.environ["DCACHE_TEST_FLEET"]),
    }
}
USE_TZ = True
if hosts := os.environ.get("DCACHE_TEST_HOSTS"):
    CACHES["default"]["OPTIONS"]["address_remap"] = HostNames(Path(hosts))
