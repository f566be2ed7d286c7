"""What the changelog claims."""

import re

import django_dcache
from support.checkout import CHECKOUT

HEADINGS = re.findall(
    r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$",
    (CHECKOUT / "CHANGELOG.md").read_text(),
    flags=re.MULTILINE,
)


def test_top_release_is_this_version():
    """The changelog opens with [Unreleased], and the release below it is the version of the package."""
    assert [HEADINGS[0][0], HEADINGS[1][0]] == ["Unreleased", django_dcache.__version__]


def test_releases_are_dated():
    """Every release has its day, the newest first."""
    days = [day for _, day in HEADINGS[1:]]
    assert all(days) and days == sorted(days, reverse=True)
