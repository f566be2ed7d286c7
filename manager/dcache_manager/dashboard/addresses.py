"""Where the page of a fleet lies, whatever its alias is: as the admin spells the key of any object in an address."""

from django.contrib.admin.utils import quote
from django.urls import reverse


def page_address(page: str, alias: str) -> str:
    """`page`: the end of the name of its address."""
    address: str = reverse(f"admin:dcache_manager_fleet_{page}", args=[quote(alias)])
    return address
