"""Django is set up once, before any test module is imported. Shared fixtures live here too."""

import os

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "support.settings"
django.setup()
