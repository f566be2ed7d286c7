"""The time of day in which a fleet may be resized without an operator."""

import re
from dataclasses import dataclass
from datetime import time

from django_dcache.errors import ConfigurationError

_form = re.compile(r"(\d\d?):(\d\d)-(\d\d?):(\d\d)").fullmatch


@dataclass(frozen=True, slots=True)
class Window:
    """From `begin` to `end` by the clock of this machine; past midnight if the end comes first."""

    begin: time
    end: time

    @classmethod
    def parse(cls, text: str) -> "Window":
        """HH:MM-HH:MM. Raises ConfigurationError."""
        match = _form(text)
        try:
            begin, minute, end, last = map(int, match.groups() if match else ())
            return cls(time(begin, minute), time(end, last))
        except ValueError:
            raise ConfigurationError(f"{text!r} is no window: want HH:MM-HH:MM, for instance 22:00-06:00") from None

    def holds(self, now: time) -> bool:
        if self.begin <= self.end:
            return self.begin <= now < self.end
        return now >= self.begin or now < self.end

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"
