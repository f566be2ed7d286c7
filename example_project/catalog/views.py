"""The pages.

The catalogue is the same bytes for every visitor: it touches neither session nor CSRF token, so one copy is kept for
all of them, and shop.js adds what is the visitor's own. Lists are kept for some seconds, a product's page until the
product changes. A page that greets a visitor by name is never cached.
"""

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import cache_page, never_cache
from django.views.decorators.http import require_POST, require_safe

from catalog.cart import MOST, Cart
from catalog.forms import AddForm, ChangeForm
from catalog.models import Category, Product
from catalog.popularity import counts_views
from django_dcache.views import cache_page as cache_tagged_page

LIST_SECONDS, PRODUCT_SECONDS = 15, 3600
PER_PAGE = 24


@require_safe
@cache_page(LIST_SECONDS)
def product_list(request, slug=None):
    category = get_object_or_404(Category, slug=slug) if slug else None
    products = Product.objects.select_related("category")
    if category:
        products = products.filter(category=category)
    page = Paginator(products, PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "catalog/product_list.html", {"category": category, "page": page, "seconds": LIST_SECONDS})


@require_safe
@counts_views
@cache_tagged_page(PRODUCT_SECONDS, tags=lambda request, pk: [f"product:{pk}"])
def product_detail(request, pk):
    product = get_object_or_404(Product.objects.select_related("category"), pk=pk)
    return render(request, "catalog/product_detail.html", {"product": product, "form": AddForm()})


@require_safe
@never_cache
def visitor(request):
    """What shop.js adds to a page that was cached for all visitors."""
    return JsonResponse(
        {
            "name": request.user.get_username(),
            "items": len(Cart(request.session)),
            "csrf_token": get_token(request),
        }
    )


@never_cache
def cart_add(request, pk):
    """Put a product into the cart. Answers GET with a form, for a product page whose script did not run."""
    product = get_object_or_404(Product.objects.select_related("category"), pk=pk)
    form = AddForm(request.POST if request.method == "POST" else {"quantity": request.GET.get("quantity", 1)})
    if request.method == "POST" and form.is_valid():
        Cart(request.session).add(pk, form.cleaned_data["quantity"])
        return redirect("cart")
    return render(request, "catalog/cart_add.html", {"product": product, "form": form})


@require_POST
def cart_change(request, pk):
    form = ChangeForm(request.POST)
    cart = Cart(request.session)
    if form.is_valid() and pk in cart:
        cart.change(pk, form.cleaned_data["quantity"])
    return redirect("cart")


@require_safe
@never_cache
def cart_detail(request):
    lines = Cart(request.session).lines()
    total = sum(line.total for line in lines)
    return render(request, "catalog/cart.html", {"lines": lines, "total": total, "most": MOST})


@require_safe
@never_cache
@login_required
def account(request):
    return render(request, "catalog/account.html", {"items": len(Cart(request.session))})
