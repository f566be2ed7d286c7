"""A write by each method, of a key that has the value 1."""

WRITES = {
    "set": (("k", 7), 7),
    "set_many": (({"k": 7, "l": 8},), 7),
    "delete": (("k",), None),
    "delete_many": ((["k", "l"],), None),
    "incr": (("k",), 2),
    "decr": (("k",), 0),
    "touch": (("k", 0), None),
    "incr_version": (("k",), None),
    "clear": ((), None),
}
"""What each is called with, and what is there afterwards where there was 1."""
