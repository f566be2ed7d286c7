from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "catalog"

    def ready(self):
        from catalog import offers  # Here: models need every app to be loaded.

        offers.watch()
