"""What follows the `?` of a source."""

from urllib.parse import parse_qsl

from django_dcache.errors import ConfigurationError

from ..spelling import meant


def split_options(text: str, *known: str) -> tuple[str, dict[str, str]]:
    """What comes before `?`, and the options after it. Raises ConfigurationError."""
    where, mark, query = text.partition("?")
    try:
        options = dict(parse_qsl(query, strict_parsing=True)) if mark else {}
    except ValueError as error:
        raise ConfigurationError(f"{text}: want ?OPTION=VALUE&…: {error}") from error
    for option in options.keys() - set(known):
        raise ConfigurationError(f"{text}: there is no option {option!r}; {meant(option, known)}")
    return where, options
