"""The shop's Celery application. Its workers do the jobs of the cache: `celery -A shop worker -B -Q dcache`."""

import os

from celery import Celery

import shop.messages  # noqa: F401  Its broker, files://
from dcache_manager.follower import Follower
from dcache_manager.messaging import schedule as beat

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")

app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(Follower)  # Purges of an edge do not wait until the children are idle.
app.conf.beat_schedule = beat.schedule()
