"""Settings of a site whose jobs run on Celery, and its application; all that differs is in the environment."""

import json
import os

from celery import Celery

from dcache_manager.messaging.schedule import schedule

SECRET_KEY = "tests"
CACHES = {
    "default": {
        "BACKEND": "django_dcache.backend.DistributedCache",
        **json.loads(os.environ["DCACHE_TEST_FLEET"]),
    }
}
DATABASES = {"default": json.loads(os.environ["DCACHE_TEST_DATABASE"])}
INSTALLED_APPS = ["dcache_manager"]
USE_TZ = True

app = Celery("crewed", broker=os.environ.get("DCACHE_TEST_BROKER"))
app.conf.update(
    task_always_eager="DCACHE_TEST_BROKER" not in os.environ,
    broker_connection_retry_on_startup=True,
    imports=["dcache_manager.tasks", "support.celery_site.offers"],
    worker_prefetch_multiplier=1,
)


@app.on_after_finalize.connect
def _schedule(sender: Celery, **kwargs: object) -> None:
    sender.conf.beat_schedule = schedule(tend=1.0)
