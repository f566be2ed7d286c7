"""The dashboard's place in Django's admin: which page lies where, and which permission opens it."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from django_dcache.errors import ConfigurationError

from ..inspection.target import Target, aliases, of_alias
from . import acts, epochs, invalidations, jobs, keys, overview
from .addresses import page_address

Page = Callable[[HttpRequest, Target], dict[str, Any]]
"""Makes what a template of its own name shows."""

SEE, SEE_KEYS = "view_fleet", "view_key"
TABS = {
    "overview": ("change", SEE),
    "keys": ("keys", SEE_KEYS),
    "jobs": ("jobs", SEE),
    "epochs": ("epochs", SEE),
    "invalidations": ("invalidations", SEE),
}
"""By page: the end of its address's name, and the permission that opens it."""


class FleetAdmin(admin.ModelAdmin):
    """Pages instead of a table. `view_fleet` opens all of them but keys."""

    def has_add_permission(self, *arguments: Any) -> bool:
        return False

    has_change_permission = has_delete_permission = has_add_permission

    def get_urls(self) -> list[URLPattern]:
        def at(where: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
            return path(where, self.admin_site.admin_view(self._told(view)), name=f"dcache_manager_fleet_{name}")

        return [
            at("", self._index, "changelist"),
            at("<str:alias>/", self._page(overview.page), "change"),
            at("<str:alias>/keys/", self._page(keys.page), "keys"),
            at("<str:alias>/jobs/", self._page(jobs.page), "jobs"),
            at("<str:alias>/epochs/", self._page(epochs.page), "epochs"),
            at("<str:alias>/invalidations/", self._page(invalidations.page), "invalidations"),
            *(at(f"<str:alias>/jobs/{verb}/", self._act(verb), verb) for verb in acts.ACTS),
        ]

    def _told(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        """The view, told the alias that the address means; or what is wrong with the site's configuration."""

        def told(request: HttpRequest, **named: str) -> HttpResponse:
            try:
                return view(request, **{name: unquote(value) for name, value in named.items()})
            except ConfigurationError as error:
                return self._render(request, "fleets", {"title": "Fleets", "problem": str(error)})

        return update_wrapper(told, view)

    def _index(self, request: HttpRequest) -> HttpResponse:
        """The one fleet, or a choice."""
        require(request, SEE)
        found = fleets()
        if len(found) == 1:
            return HttpResponseRedirect(page_address("change", *found))
        return self._render(request, "fleets", {"title": "Fleets", "aliases": found})

    def _page(self, page: Page) -> Callable[..., HttpResponse]:
        name = page.__module__.rpartition(".")[2]

        def view(request: HttpRequest, alias: str) -> HttpResponse:
            require(request, TABS[name][1])
            context = page(request, target_of(alias))
            tabs = [
                (tab.capitalize(), page_address(end, alias), name == tab)
                for tab, (end, permission) in TABS.items()
                if may(request, permission)
            ]
            return self._render(request, name, context | {"alias": alias, "title": f"Fleet {alias}", "tabs": tabs})

        return update_wrapper(view, page)

    def _act(self, verb: str) -> Callable[..., HttpResponse]:
        done = acts.done(verb)

        def view(request: HttpRequest, alias: str) -> HttpResponse:
            require(request, f"{verb}_job")
            return done(request, target_of(alias))

        checked: Callable[..., HttpResponse] = require_POST(view)
        return checked

    def _render(self, request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
        everywhere = self.admin_site.each_context(request) | {"opts": self.opts}
        return TemplateResponse(request, f"dcache_manager/{name}.html", everywhere | context)


def require(request: HttpRequest, permission: str) -> None:
    """Raises PermissionDenied."""
    if not may(request, permission):
        raise PermissionDenied


def may(request: HttpRequest, permission: str) -> bool:
    return bool(request.user.has_perm(f"dcache_manager.{permission}"))


def target_of(alias: str) -> Target:
    """Raises Http404, and ConfigurationError for an alias whose configuration can't be used."""
    if alias not in fleets():
        raise Http404(f"no cache alias {alias!r} has a fleet")
    return of_alias(alias)


def fleets() -> list[str]:
    """The aliases that have a fleet. Raises ConfigurationError."""
    try:
        return aliases()
    except ImportError as error:
        raise ConfigurationError(f"a BACKEND in CACHES can't be imported: {error}") from error
