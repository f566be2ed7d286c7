"""The Django application, which only registers the system checks."""

from django.apps import AppConfig


class CacheConfig(AppConfig):
    name = "django_dcache"
    verbose_name = "Distributed cache"

    def ready(self) -> None:
        from .checks import register  # Here: it needs the settings.

        register()
