from decimal import Decimal
from itertools import count, islice

from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, call_command
from django.db import transaction
from django.utils.crypto import get_random_string

from catalog.models import Category, Glaze, Product

CUSTOMER = "ada"
SHELVES = {  # slug: (name, one piece, price of the plainest, what it is for)
    "mugs": ("Mugs", "mug", 18, "Holds a third of a litre and sits well in either hand."),
    "bowls": ("Bowls", "bowl", 24, "Deep enough for soup, wide enough for a salad."),
    "plates": ("Plates", "plate", 28, "A dinner plate with a raised rim, safe in oven and dishwasher."),
    "teapots": ("Teapots", "teapot", 64, "Pours without a drip. Four cups, with a strainer behind the spout."),
    "vases": ("Vases", "vase", 46, "Thrown tall in two parts. Watertight."),
    "planters": ("Planters", "planter", 34, "With a drain hole and a saucer of the same glaze."),
}


class Command(BaseCommand):
    help = "Make the database, stock the shelves and register one customer. May be run again: it adds what is missing."

    def add_arguments(self, parser):
        parser.add_argument("--products", type=int, default=48, help="how many the shop should have (default 48)")
        parser.add_argument("--password", help=f"for the customer {CUSTOMER} (a new one gets a random one)")

    def handle(self, *, products, password, **options):
        call_command("migrate", verbosity=0)
        with transaction.atomic():
            categories = [
                Category.objects.get_or_create(slug=slug, defaults={"name": name})[0]
                for slug, (name, *_) in SHELVES.items()
            ]
            stocked = Product.objects.count()
            Product.objects.bulk_create(islice(_catalogue(categories), stocked, products))
            password = _register_customer(password)
        self.stdout.write(f"{max(stocked, products)} products; customer {CUSTOMER}, password {password or 'as before'}")


def _catalogue(categories):
    """Yield products without end, the same ones each time: every glaze of every shape, then the next series."""
    for series in count(1):
        for step, glaze in enumerate(Glaze):
            for category in categories:
                _, piece, plainest, purpose = SHELVES[category.slug]
                suffix = f" No. {series}" if series > 1 else ""
                yield Product(
                    category=category,
                    name=f"{glaze.label} {piece}{suffix}",
                    glaze=glaze,
                    description=f"{purpose} Slab built by hand, glazed in {glaze.label.lower()}, fired at 1,280 °C.",
                    price=Decimal(plainest + 2 * step) + Decimal("0.90"),
                )


def _register_customer(password):
    """Return the customer's new password, or None where it stays as it was."""
    customer, is_new = get_user_model().objects.get_or_create(username=CUSTOMER)
    if is_new and not password:
        password = get_random_string(12)
    if password:
        customer.set_password(password)
        customer.save()
    return password
