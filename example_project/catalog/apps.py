from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "catalog"

    def ready(self):
        from catalog import offers  # Here: models need every app to be loaded.
        from django_dcache.orm import invalidate_on_save

        offers.watch()
        invalidate_on_save(self.get_model("Product"), tags=["products", "product:{pk}"])
        invalidate_on_save(self.get_model("Category"), tags=["categories"])
