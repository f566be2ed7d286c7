"""Templates of keys: which may have made a key, and which key one makes."""

import pytest

from django_dcache.prefetch.templates import MOST_CANDIDATES, candidates, fill
from support.request_values import PlainValues

SESSION = "q3v7yd0a9b8c7d6e5f4g3h2j1k0lmnop"
DIGEST = "9e107d9d372bb6826bd81d3542a419d6"


@pytest.mark.parametrize(
    ("key", "values", "expected"),
    [
        ("banner", {"pk": "7"}, ("banner",)),
        ("product:7", {"pk": "7"}, ("product:", "pk", "")),
        ("product:77", {"pk": "7"}, ("product:77",)),
        ("7:of:de", {"pk": "7", "language": "de"}, ("", "pk", ":of:", "language", "")),
        (f"sessions.cache{SESSION}", {"session": SESSION}, ("sessions.cache", "session", "")),
        (f"page.{DIGEST}.x", {"url": DIGEST}, ("page.", "url", ".x")),
    ],
)
def test_what_stands_in_a_key(key, values, expected):
    """A value that stands apart in a key is a variable, and one that is long wherever it stands."""
    assert candidates(key, PlainValues(values))[0] == expected


def test_every_way_to_read_a_key_is_a_candidate():
    """A number that stands in a key twice may be the URL's in either place, in both or in none."""
    found = candidates("shop:1:product:1", PlainValues({"pk": "1"}))
    assert sorted(found) == sorted(
        [
            ("shop:", "pk", ":product:", "pk", ""),
            ("shop:", "pk", ":product:1"),
            ("shop:1:product:", "pk", ""),
            ("shop:1:product:1",),
        ]
    )


def test_what_all_keys_begin_with_has_no_variables():
    """The prefix and the version of an alias are none of the request's."""
    assert candidates("shop:1:product:1", PlainValues({"pk": "1"}), "shop:1:")[0] == ("shop:1:product:", "pk", "")


def test_candidates_are_few():
    """However often its values stand in a key, it has a handful of templates."""
    assert len(candidates(":".join("1" * 40), PlainValues(dict.fromkeys("abcdef", "1")))) == MOST_CANDIDATES


def test_a_template_makes_a_key():
    """Variables are replaced by the values of a request; one that lacks a value makes none."""
    template = ("product:", "pk", ":", "language", "")
    assert fill(template, PlainValues({"pk": "7", "language": "de"})) == "product:7:de"
    assert fill(template, PlainValues({"pk": "7"})) is None
    assert fill(("banner",), PlainValues({})) == "banner"
