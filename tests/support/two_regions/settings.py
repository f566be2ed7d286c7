"""Settings of a site in one of several regions, and its Celery application; all that differs is in the environment."""

import json
import os

from celery import Celery

from dcache_manager.invalidation.follower import Follower

SECRET_KEY = "tests"
CACHES = {
    "default": {
        "BACKEND": "django_dcache.backend.DistributedCache",
        **json.loads(os.environ["DCACHE_TEST_FLEET"]),
    }
}
DATABASES = {"default": json.loads(os.environ["DCACHE_TEST_DATABASE"])}
DCACHE = {"REGION": os.environ["DCACHE_TEST_REGION"], "REGIONS": os.environ["DCACHE_TEST_REGIONS"].split()}
INSTALLED_APPS = ["dcache_manager"]
USE_TZ = True

app = Celery("regional", broker=os.environ.get("DCACHE_TEST_BROKER"))
app.conf.update(
    task_always_eager="DCACHE_TEST_BROKER" not in os.environ,
    broker_connection_retry_on_startup=True,
    imports=["dcache_manager.tasks"],
)
if "DCACHE_TEST_FOLLOW" in os.environ:
    app.steps["worker"].add(Follower)
