"""Settings of the example shop. What differs from machine to machine comes from the environment; README.md lists it."""

import json
import os
from pathlib import Path

from shop.secret import shared_secret

BASE_DIR = Path(__file__).resolve().parent.parent
DATABASE = Path(os.environ.get("SHOP_DATABASE", BASE_DIR / "shop.sqlite3"))

SECRET_KEY = os.environ.get("SHOP_SECRET_KEY") or shared_secret(DATABASE.with_suffix(".key"))
DEBUG = os.environ.get("SHOP_DEBUG") == "1"
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]

# Opens the price endpoint that load generators write through, without a login: for a loopback only.
SHOP_DEMO = os.environ.get("SHOP_DEMO") == "1"

CACHES = {
    "default": {
        "BACKEND": os.environ.get("DCACHE_BACKEND", "django_dcache.backend.DistributedCache"),
        "LOCATION": os.environ.get("DCACHE_NODES", "127.0.0.1:11211").split(","),
        "OPTIONS": json.loads(os.environ.get("DCACHE_OPTIONS", "{}")),
        "KEY_PREFIX": "shop",
    }
}

# cached_db rather than cache: the row in the database is the session and the cached copy only saves a query, so a node
# that dies, restarts or evicts costs a query and never a login or a cart.
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATABASE,
        "OPTIONS": {
            "timeout": 10,
            # In WAL mode readers never wait for the writer; and a transaction that takes the write lock at its start
            # queues for it, where one that upgrades from reading is refused at once, whatever the timeout.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
            "transaction_mode": "IMMEDIATE",
        },
        # A loader must see every commit that came before its lease. A request-long transaction would show it a
        # snapshot from before, and the cache would be filled with the past.
        "ATOMIC_REQUESTS": False,
    }
}

# Jobs of the cache run on Celery. Without a broker's address messages are files beside the database, which needs no
# server and is enough for one machine.
CELERY_BROKER_URL = os.environ.get("SHOP_BROKER", "files://localhost")
if CELERY_BROKER_URL.startswith("files:"):
    MESSAGES = DATABASE.with_suffix(".messages")
    MESSAGES.mkdir(exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(MESSAGES),
        "data_folder_out": str(MESSAGES),
        "control_folder": str(MESSAGES / "control"),
        "polling_interval": 0.2,  # seconds
    }
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

INSTALLED_APPS = [
    "catalog",
    "django_dcache",
    "dcache_manager",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    # First, so that sessions and whole pages come in the one round as well.
    "django_dcache.prefetch.PrefetchMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "shop.csp.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

# The address of a Varnish before the shop. It keeps product pages until their tags are purged: docs/howto/edge.md.
SHOP_EDGE = os.environ.get("SHOP_EDGE")
if SHOP_EDGE:
    MIDDLEWARE.insert(0, "django_dcache.edge.SurrogateKeyMiddleware")
    DCACHE_EDGE = {"rules": [("^/products/", 3600, 0)]}
    DCACHE = {"REGION": "shop", "EDGES": {"varnish": {"kind": "varnish-ban", "urls": [SHOP_EDGE]}}}

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "catalog.context.shelves",
            ]
        },
    }
]

ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "account"
LOGOUT_REDIRECT_URL = "product_list"
CSRF_COOKIE_HTTPONLY = True
TIME_ZONE = "UTC"
USE_TZ = True

# Without DEBUG Django mails its errors to the admins, and there are none here.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
}
