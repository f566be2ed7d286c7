"""The KEY_FUNCTION for keys that may hold anything."""

import pytest
from django.core.cache.backends.base import default_key_func
from hypothesis import given
from hypothesis import strategies as st

from django_dcache.keys import safe_key
from django_dcache.model.keys import name

anything = st.text(st.characters(codec=None, exclude_categories=()), max_size=300) | st.integers()


@given(anything, anything)
def test_any_key(one, other):
    """Every key is legal, and two that differ stay two."""
    made = [safe_key(key, "site", 1) for key in (one, other)]
    assert all(map(name, made))
    assert (made[0] == made[1]) == (str(one) == str(other))


@pytest.mark.parametrize("key", ["item:4711", "a/b?c=d", 5, "x" * 150])
def test_usual_keys(key):
    """A key of the usual sort is what Django makes of it: a site can change to this with its cache full."""
    assert safe_key(key, "site", 2) == default_key_func(key, "site", 2)


@pytest.mark.parametrize("key", ["two words", "line\nend", "x" * 300, "é", "\ud800", "a~b"])
def test_odd_keys(key):
    """Any other keeps its beginning, for an operator to read, and fits on every node."""
    made = safe_key(key, "site", 2)
    assert made.startswith("site:2:") and "~" in made and len(made) <= 130
    assert safe_key(safe_key(key, "site", 2).removeprefix("site:2:"), "site", 2) != made
