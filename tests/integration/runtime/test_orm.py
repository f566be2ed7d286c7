"""Tags tied to rows: every way in which the ORM changes a row invalidates its tags, at the commit."""

import pytest
from django.db import connection, models, transaction

from django_dcache import orm
from django_dcache.errors import ConfigurationError
from django_dcache.orm import InvalidatingQuerySet, invalidate_on_save


class Category(models.Model):
    class Meta:
        app_label = "django_dcache"


class Product(models.Model):
    name = models.CharField(max_length=20)
    category = models.ForeignKey(Category, models.CASCADE)
    labels = models.ManyToManyField("Label", related_name="products")
    shops = models.ManyToManyField("Shop", through="Stock")
    objects = InvalidatingQuerySet.as_manager()

    class Meta:
        app_label = "django_dcache"


class Label(models.Model):
    class Meta:
        app_label = "django_dcache"


class Shop(models.Model):
    class Meta:
        app_label = "django_dcache"


class Stock(models.Model):
    product = models.ForeignKey(Product, models.CASCADE)
    shop = models.ForeignKey(Shop, models.CASCADE)

    class Meta:
        app_label = "django_dcache"


class Book(Product):
    """Has a table of its own."""

    class Meta:
        app_label = "django_dcache"


class Offer(Product):
    """Has not."""

    class Meta:
        app_label = "django_dcache"
        proxy = True


MODELS = (Category, Label, Shop, Product, Stock, Book)


@pytest.fixture(scope="module", autouse=True)
def rules():
    """Products and labels have tags."""
    with connection.schema_editor() as editor:
        for model in MODELS:
            editor.create_model(model)
    invalidate_on_save(Product, tags=["product:{pk}", "category:{category_id}"])
    invalidate_on_save(Label, tags=["label:{pk}"], alias="pages")
    yield
    orm._rules.clear()
    with connection.schema_editor() as editor:
        for model in reversed(MODELS):
            editor.delete_model(model)


@pytest.fixture
def seen(monkeypatch):
    """The tags that were invalidated after each commit."""
    told = []

    def invalidate(*, tags, alias, using):
        transaction.on_commit(lambda: told.extend(f"{alias}/{tag}" for tag in tags), using=using)

    monkeypatch.setattr(orm, "invalidate", invalidate)
    return told


@pytest.fixture
def categories(seen):
    """Two."""
    return Category.objects.create(), Category.objects.create()


@pytest.fixture
def product(categories, seen):
    """A product of the first."""
    product = Product.objects.create(name="a", category=categories[0])
    seen.clear()
    return product


def of(product, *categories):
    return {f"default/product:{product.pk}", *(f"default/category:{category.pk}" for category in categories)}


def test_a_save_and_a_delete(product, categories, seen):
    """A row that is saved or deleted invalidates its tags: those that it had, too."""
    first, second = categories
    product.category = second
    product.save(update_fields=["category"])
    assert set(seen) == of(product, first, second)
    seen.clear()
    gone = of(product, second)
    product.delete()
    assert set(seen) == gone


def test_a_cascade(product, categories, seen):
    """A row that is deleted because another one is invalidates its tags."""
    gone = of(product, categories[0])
    categories[0].delete()
    assert set(seen) == gone


def test_a_rollback(product, categories, seen):
    """What is rolled back, by a savepoint too, invalidates nothing; the rest is invalidated after the commit."""
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            product.delete()
            assert 1 / 0
        assert not seen
        product = Product.objects.get(name="a", category=categories[0])
        Product.objects.filter(pk=product.pk).update(name="b")
        assert not seen
    assert set(seen) == of(product, product.category)
    seen.clear()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        product.save()
        assert 1 / 0
    assert not seen


def test_changes_of_many_rows(product, categories, seen):
    """update, bulk_update, bulk_create and the deletion of a queryset invalidate what the rows were and are."""
    first, second = categories
    other = Product.objects.create(name="b", category=first)
    seen.clear()
    assert Product.objects.filter(category=first).update(category=second) == 2
    assert set(seen) == of(product, first, second) | of(other)
    seen.clear()
    product.category = first
    Product.objects.bulk_update([product], ["category"])
    assert set(seen) == of(product, first, second)
    seen.clear()
    (new,) = Product.objects.bulk_create([Product(name="c", category=second)])
    assert set(seen) == of(new, second)
    seen.clear()
    gone = of(new, second)
    Product.objects.filter(pk=new.pk).delete()
    assert set(seen) == gone


def test_relations(product, seen):
    """A many-to-many relation that changes invalidates both of its sides, whichever of them it is changed on."""
    label, other = Label.objects.create(), Label.objects.create()
    seen.clear()
    for change in (
        lambda: product.labels.add(label),
        lambda: product.labels.remove(label),
        lambda: label.products.add(product),
        lambda: label.products.clear(),
        lambda: product.labels.set([label]),
        lambda: product.labels.clear(),
    ):
        change()
        assert of(product) | {f"pages/label:{label.pk}"} <= set(seen)
        assert f"pages/label:{other.pk}" not in seen
        seen.clear()


def test_through_tables(product, seen):
    """A row of a model that relates rows invalidates what it relates, and what it related before."""
    shop = Shop.objects.create()
    other = Product.objects.create(name="b", category=product.category)
    seen.clear()
    stock = Stock.objects.create(product=product, shop=shop)
    assert of(product) <= set(seen)
    seen.clear()
    stock.product = other
    stock.save()
    assert of(product) | of(other) <= set(seen)
    seen.clear()
    stock.delete()
    assert of(other) <= set(seen)


def test_inheritance(categories, seen):
    """A row that is changed through a model that inherits, with a table or without, is changed."""
    book = Book.objects.create(name="a", category=categories[0])
    assert set(seen) == of(book, categories[0])
    seen.clear()
    offer = Offer.objects.get(pk=book.pk)
    offer.save()
    assert set(seen) == of(book, categories[0])


def test_tags_by_a_function(product, categories, seen):
    """A function says which tags a row has."""
    invalidate_on_save(Category, tags=lambda row: [f"shelf:{row.pk % 2}"])
    categories[0].save()
    assert set(seen) == {f"default/shelf:{categories[0].pk % 2}"}
    with pytest.raises(ConfigurationError, match="want a list"):
        invalidate_on_save(Category, tags="category")
