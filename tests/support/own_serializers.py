"""Serializers of a site's own, as `serializer` and `read_serializers` name them by their dotted path."""

import ast


class Literals:
    """Python literals; with the number that an object has which gives none."""

    @staticmethod
    def dumps(value):
        return repr(value).encode()

    @staticmethod
    def loads(data):
        return ast.literal_eval(data.decode())


class Reversed(Literals):
    """The same backwards, under a number of its own."""

    number = 17

    def dumps(self, value):
        return super().dumps(value)[::-1]

    def loads(self, data):
        return super().loads(data[::-1])


class Greedy(Literals):
    """Under a number that is ours."""

    number = 1


class Witness:
    """Remembers what it was given to load."""

    seen: list[bytes] = []

    def dumps(self, value):
        return b"dumped"

    def loads(self, data):
        self.seen.append(data)
        return data


reversed_literals = Reversed()
