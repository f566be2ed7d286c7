"""The cart: product and quantity, kept in the session."""

from decimal import Decimal
from typing import NamedTuple

from catalog.models import Product
from catalog.offers import offers

MOST = 20  # of one product


class Line(NamedTuple):
    product: Product
    quantity: int
    price: Decimal

    @property
    def total(self):
        return self.price * self.quantity


class Cart:
    def __init__(self, session):
        self._session = session
        self._quantities = session.get("cart", {})  # {str(pk): quantity}: JSON has no other keys

    def add(self, pk: int, quantity: int) -> None:
        self.change(pk, min(MOST, self._quantities.get(str(pk), 0) + quantity))

    def change(self, pk: int, quantity: int) -> None:
        """Have `quantity` of a product in the cart; 0 takes it out."""
        self._quantities[str(pk)] = quantity
        if not quantity:
            del self._quantities[str(pk)]
        self._session["cart"] = self._quantities

    def __contains__(self, pk):
        return str(pk) in self._quantities

    def __len__(self):
        return sum(self._quantities.values())

    def lines(self) -> list[Line]:
        """Return what is in the cart at today's prices, without the products that are sold no more."""
        quantities = {int(pk): quantity for pk, quantity in self._quantities.items()}
        now = offers(quantities)
        products = Product.objects.select_related("category").in_bulk(now)
        return [Line(product, quantities[pk], Decimal(now[pk]["price"])) for pk, product in products.items()]
