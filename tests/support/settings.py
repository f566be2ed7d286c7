"""The Django project the tests run in."""

SECRET_KEY = "tests"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.sessions", "django_dcache", "dcache_manager"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CACHES = {
    "default": {
        "BACKEND": "django_dcache.backend.DistributedCache",
        # Nobody listens on the discard port: a test that needs nodes starts its own.
        "LOCATION": ["127.0.0.1:9"],
    }
}
