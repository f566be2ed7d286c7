"""The JSON endpoints: offers, their changes, and a sign of life.

What a load generator may rely on: once a price change was answered with revision r, no request for that product begun
after the answer gets a lower revision; and `Cache-Status` (RFC 9211) tells a hit, for which no database was asked, from
a miss.
"""

import asyncio
import json

from django.db import connection
from django.http import Http404, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from catalog.forms import PriceForm
from catalog.models import Product
from catalog.offers import aoffer, change_price, offer


@require_safe
@never_cache
def read_offer(request, pk):
    queries = []
    with connection.execute_wrapper(lambda execute, *query: queries.append(query) or execute(*query)):
        try:
            found = offer(pk)
        except Product.DoesNotExist:
            raise Http404(f"No product {pk}") from None
    return JsonResponse(found, headers={"Cache-Status": "shop; fwd=miss" if queries else "shop; hit"})


@require_safe
@never_cache
async def read_offers(request):
    """Take `?id=1&id=2`: several offers, all asked for at once."""
    try:
        pks = [int(pk) for pk in request.GET.getlist("id")][:50]
        found = await asyncio.gather(*[aoffer(pk) for pk in pks])
    except ValueError:
        return JsonResponse({"error": "Expected whole numbers, like ?id=1&id=2"}, status=400)
    except Product.DoesNotExist:
        raise Http404("No such product") from None
    return JsonResponse({"offers": found})


@csrf_exempt
@require_POST
def write_price(request, pk):
    """Take `{"price": "12.50"}`. Routed only where SHOP_DEMO is set, since it asks for no login."""
    try:
        form = PriceForm({"price": json.loads(request.body)["price"]})
    except (ValueError, TypeError, KeyError):
        return JsonResponse({"error": 'Expected a JSON object like {"price": "12.50"}'}, status=400)
    if not form.is_valid():
        return JsonResponse({"error": form.errors["price"][0]}, status=400)
    try:
        return JsonResponse(change_price(pk, form.cleaned_data["price"]))
    except Product.DoesNotExist:
        raise Http404(f"No product {pk}") from None


@require_safe
@never_cache
def healthz(request):
    """Whether this worker can serve: it needs its database. It can do without its cache, so that is not asked."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"status": "ok"})
