"""The keys of whole pages (`views.cache_page`), which `prefetch` has to know before the page is asked for."""

from collections.abc import Iterable
from hashlib import blake2b

from django.http import HttpRequest
from django.utils import timezone


def page_digest(request: HttpRequest, language: str | None) -> str:
    """What page it is."""
    zone = timezone.get_current_timezone_name()
    return _digest(f"{request.method} {request.build_absolute_uri()} {language} {zone}")


def variant_digest(request: HttpRequest, headers: Iterable[str]) -> str:
    """Which one of those that are told apart by these headers; their names are sorted, and in lower case."""
    return _digest(repr([request.headers.get(name) for name in headers]))


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()
