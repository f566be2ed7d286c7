"""What the changelog claims."""

import re

import django_dcache
from support.checkout import CHECKOUT

CHANGELOG = (CHECKOUT / "CHANGELOG.md").read_text()
HEADINGS = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", CHANGELOG, flags=re.MULTILINE)


def test_top_release_is_this_version():
    """The changelog opens with [Unreleased], and the release below it is the version of the package."""
    assert [HEADINGS[0][0], HEADINGS[1][0]] == ["Unreleased", django_dcache.__version__]


def test_releases_are_dated():
    """Every release has its day, the newest first."""
    days = [day for _, day in HEADINGS[1:]]
    assert all(days) and days == sorted(days, reverse=True)


def test_entries_are_told_once():
    """No two entries begin alike: changes that come from several sides are merged by keeping both."""
    begins = [entry[:40] for entry in re.findall(r"^- (.+)$", CHANGELOG, flags=re.MULTILINE)]
    assert not {begin for begin in begins if begins.count(begin) > 1}
