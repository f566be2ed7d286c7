"""Settings of a Django project with the admin, to be written into a folder."""

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
