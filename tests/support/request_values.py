"""What a request brings along, as a test says it."""


class PlainValues(dict):
    """Each value may stand in a key as it is, and none as a digest."""

    def plain(self):
        return self

    def digests(self):
        return {}
