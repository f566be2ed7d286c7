from django.contrib import admin
from django.contrib.staticfiles.views import serve
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", include("catalog.urls")),
    path("admin/dcache/", RedirectView.as_view(pattern_name="admin:dcache_manager_fleet_changelist")),
    path("admin/", admin.site.urls),
    # A demo needs no second server for four files. A real site leaves this to its web server or to WhiteNoise.
    path("static/<path:path>", serve, {"insecure": True}),
]
