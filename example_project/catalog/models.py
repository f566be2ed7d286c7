from django.db import models, transaction
from django.urls import reverse

from django_dcache.orm import InvalidatingQuerySet


class Category(models.Model):
    name = models.CharField(max_length=40, unique=True)
    slug = models.SlugField(unique=True, help_text="Also the name of its drawing in shapes.svg")

    class Meta:
        ordering = ["pk"]
        verbose_name_plural = "categories"

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("category", args=[self.slug])


class Glaze(models.TextChoices):
    """The values are class names in shop.css."""

    CELADON = "celadon", "Celadon"
    COBALT = "cobalt", "Cobalt"
    OXBLOOD = "oxblood", "Oxblood"
    TENMOKU = "tenmoku", "Tenmoku"
    SAFFRON = "saffron", "Saffron"
    ROSE = "rose", "Rose"
    MOSS = "moss", "Moss"
    ASH = "ash", "Ash"


class Product(models.Model):
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="products")
    name = models.CharField(max_length=80)
    glaze = models.CharField(max_length=12, choices=Glaze)
    description = models.TextField()
    price = models.DecimalField(max_digits=8, decimal_places=2)
    revision = models.PositiveIntegerField(default=1, editable=False)

    objects = InvalidatingQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("product_detail", args=[self.pk])

    def save(self, **kwargs):
        """Store the next revision of the product. The database counts, so no two savers ever get the same number."""
        with transaction.atomic():
            if not self._state.adding:
                self.revision = models.F("revision") + 1
            super().save(**kwargs)
            self.refresh_from_db(fields=["revision"])
