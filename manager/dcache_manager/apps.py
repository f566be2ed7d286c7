"""The Django application: `manage.py dcache`, the tables, the system checks, and a log of this site's invalidations."""

from django.apps import AppConfig


class ManagerConfig(AppConfig):
    name = "dcache_manager"
    verbose_name = "Cache fleets"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Late: models can be imported once all apps are loaded.
        from django_dcache import checks
        from django_dcache.decorators import send_with
        from django_dcache.invalidation import record_with

        from .invalidation.log import record
        from .messaging.renewals import send

        checks.register()
        record_with(record)
        send_with(send)
