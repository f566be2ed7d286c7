from django.contrib import admin

from catalog.models import Category, Product


@admin.register(Category)
class CategoryAdmin(admin.ModelAdmin):
    list_display = ["name", "slug"]


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    list_display = ["name", "category", "glaze", "price", "revision"]
    list_filter = ["category", "glaze"]
    list_select_related = ["category"]
    search_fields = ["name"]
    readonly_fields = ["revision"]
