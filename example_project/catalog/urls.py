from django.conf import settings
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from catalog import api, views

urlpatterns = [
    path("", views.product_list, name="product_list"),
    path("shelf/<slug:slug>/", views.product_list, name="category"),
    path("products/<int:pk>/", views.product_detail, name="product_detail"),
    path("cart/", views.cart_detail, name="cart"),
    path("cart/add/<int:pk>/", views.cart_add, name="cart_add"),
    path("cart/change/<int:pk>/", views.cart_change, name="cart_change"),
    path("visitor", views.visitor, name="visitor"),
    path("account/", views.account, name="account"),
    path("login/", LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("api/offers", api.read_offers, name="offers"),
    path("api/products/<int:pk>", api.read_offer, name="offer"),
    path("healthz", api.healthz, name="healthz"),
]

if settings.SHOP_DEMO:
    urlpatterns.append(path("api/products/<int:pk>/price", api.write_price, name="price"))
