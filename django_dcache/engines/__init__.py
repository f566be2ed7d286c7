"""One package an engine: all that knows its bytes, its limits and its statistics."""
