"""JSON as django-redis writes it: what JSON has no words for (dates, decimals, UUIDs) becomes text.

OPTIONS = {"serializer": "django_dcache.django_json.DjangoJSON"}
"""

import json
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder


class DjangoJSON:
    """A serializer (docs/reference/envelope.md)."""

    number = 255

    @staticmethod
    def dumps(value: Any) -> bytes:
        return json.dumps(value, cls=DjangoJSONEncoder).encode()

    @staticmethod
    def loads(data: bytes) -> Any:
        return json.loads(data.decode())
