"""The pages of a small site, which count how often their bodies run."""

from collections import Counter

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.cache import cache_page
from django.views.decorators.vary import vary_on_headers

runs: Counter[str] = Counter()

TEMPLATE = "{% load cache %}{% cache 60 card product.pk product.color %}{{ product.name }}{% endcache %}"


@cache_page(60)
@vary_on_headers("Device")
def page(request: HttpRequest, pk: int) -> HttpResponse:
    runs[f"page {pk}"] += 1
    return HttpResponse(f"page {pk} for a {request.headers.get('Device')}")


@cache_page(60)
def personal(request: HttpRequest) -> HttpResponse:
    return HttpResponse("yours", headers={"Cache-Control": "private"})


def broken(request: HttpRequest) -> HttpResponse:
    raise LookupError("no such row")


class Product:
    """Counts how often its name is rendered."""

    pk, color = 7, "cobalt blue"

    @property
    def name(self) -> str:
        runs["card"] += 1
        return "a mug"


def card(request: HttpRequest) -> HttpResponse:
    return render(request, "card.html", {"product": Product()})


urlpatterns = [
    path("page/<int:pk>/", page),
    path("personal/", personal),
    path("broken/", broken),
    path("card/", card),
]
