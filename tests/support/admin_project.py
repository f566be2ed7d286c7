"""A Django project with the admin: its settings, to be written into a folder, and what code says in it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SETTINGS = """
SECRET_KEY = "tests"
USE_TZ = True
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": {database!r}}}}}
CACHES = {{"default": {{
    "BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": {addresses!r}, "OPTIONS": {{"freshness": 0.1}},
}}}}
DCACHE = {{"REGION": "eu"}}
INSTALLED_APPS = ["django.contrib." + name for name in ("admin", "auth", "contenttypes", "messages", "sessions")]
INSTALLED_APPS += ["dcache_manager"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
    "OPTIONS": {{"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]}},
}}]
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = __name__
urlpatterns = []
"""


def told(folder: Path, code: str) -> Any:
    """What `code` prints as JSON in a process of that project, which lies in `folder`; its nodes do not answer."""
    database = str(folder / "site.sqlite3")
    (folder / "project.py").write_text(SETTINGS.format(database=database, addresses=["127.0.0.1:9"]))
    paths = os.pathsep.join([str(folder), *filter(None, sys.path)])
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "project", "PYTHONPATH": paths}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)
