"""A site whose keys are dumped."""

import pytest
from django.core.cache import cache
from django.test import override_settings

from support.snapshot_site import OPTIONS, Site


@pytest.fixture
def site(fleet, tmp_path):
    """Makes a site on so many nodes: `site(3, replicas=2)`."""
    sites = []

    def make(count, **options):
        sites.append(Site(fleet(count, memory=32), tmp_path, **options))
        return sites[-1]

    yield make
    for made in sites:
        made.fleet.close()


# The log of invalidations


@pytest.fixture
def logged(site, tables):
    """A site whose invalidations are in a log."""
    site = site(2)
    entry = {"BACKEND": "django_dcache.backend.DistributedCache", "LOCATION": site.nodes.addresses}
    entry["OPTIONS"] = OPTIONS
    with override_settings(CACHES={"default": entry}, DCACHE={"REGION": "eu"}):
        yield site
        cache.close()
