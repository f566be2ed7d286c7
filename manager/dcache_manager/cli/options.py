"""The options that every command takes, before its name or after it; and the two kinds of commands that take them.

Imports nothing but click: help and completion must wait for neither Django nor rich.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from django_dcache.errors import ConfigurationError

from ..errors import NotConfirmed
from ..formatting import printable

REMINDER = "The options of dcache-admin itself can be given here too."


@dataclass
class Choices:
    """What the global options say; on every click context as `obj`."""

    settings: str | None = None
    pythonpath: str | None = None
    cache: str | None = None
    nodes: str | None = None
    tls_ca: str | None = None
    tls_cert: str | None = None
    user: str | None = None
    password_file: str | None = None
    json: bool = False
    timeout: float = 2.0
    yes: bool = False
    quiet: bool = False
    verbose: int = 0
    typed: set[str] = field(default_factory=set)
    """The names of those that are on the command line, and not from the environment."""
    arguments: Sequence[str] = ()
    """The whole command line, to start it again in the background."""

    def note(self, text: str) -> None:
        """Something a person should know, beside the answer: on stderr, unless --quiet."""
        if not self.quiet:
            _say(text)

    def password(self, question: str) -> str:
        """Asked for on a terminal. Raises ConfigurationError where there is none."""
        if not sys.stdin.isatty():
            raise ConfigurationError("no password: set DCACHE_PASSWORD, or give --password-file")
        answer: str = click.prompt(question, hide_input=True, err=True)
        return answer

    def confirm(self, question: str) -> None:
        """Ask on a terminal. Raises NotConfirmed, unless --yes."""
        if self.yes:
            return
        _say(question)
        if not sys.stdin.isatty() or not click.confirm("Go ahead?", err=True):
            raise NotConfirmed


def _say(text: str) -> None:
    """On stderr. What a node or a job said may hold what moves a cursor: that is shown, not done."""
    for line in text.splitlines():
        click.echo(printable(line), err=True)


pass_choices = click.make_pass_decorator(Choices)


def global_options(root: bool) -> list[click.Option]:
    """The options, to be parsed at the root or (hidden from help) at a command. The later one on the line counts."""

    def option(*names: str, env: str | list[str] = (), **attributes: Any) -> click.Option:  # type: ignore[assignment]
        attributes |= {"envvar": env, "show_envvar": True} if root else {"hidden": True, "allow_from_autoenv": False}
        return click.Option(names, expose_value=False, callback=_remember, **attributes)

    return [
        option(
            "--settings", env=["DCACHE_SETTINGS", "DJANGO_SETTINGS_MODULE"], metavar="MODULE", help="Django settings."
        ),
        option("--pythonpath", env="DCACHE_PYTHONPATH", metavar="DIR", help="A directory to import settings from."),
        option(
            "-c",
            "--cache",
            env="DCACHE_CACHE",
            metavar="ALIAS",
            help="The cache alias; not needed if only one alias has a fleet.",
            shell_complete=_aliases,
        ),
        option(
            "--nodes", env="DCACHE_NODES", metavar="HOST:PORT,…", help="Where to find the fleet; no project needed."
        ),
        option(
            "--tls-ca",
            env="DCACHE_TLS_CA",
            metavar="FILE",
            help="Speak TLS with nodes whose certificates these authorities signed.",
        ),
        option("--tls-cert", env="DCACHE_TLS_CERT", metavar="FILE", help="Our own certificate for them, and its key."),
        option("--user", env="DCACHE_USER", metavar="NAME", help="Log in; asks for the password."),
        option(
            "--password-file",
            env="DCACHE_PASSWORD_FILE",
            metavar="FILE",
            help="The password, in its first line; or set DCACHE_PASSWORD.",
        ),
        option("--json", env="DCACHE_JSON", is_flag=True, help="Print the answer as one JSON object."),
        option(
            "--timeout",
            env="DCACHE_TIMEOUT",
            type=click.FloatRange(0.01, 3600),
            default=Choices.timeout if root else None,
            show_default=root,
            metavar="SECONDS",
            help="How long nodes have to answer.",
        ),
        option("--yes", env="DCACHE_YES", is_flag=True, help="Do not ask for confirmation."),
        option("-q", "--quiet", env="DCACHE_QUIET", is_flag=True, help="No notes and no progress on stderr."),
        option(
            "-v",
            "--verbose",
            env="DCACHE_VERBOSE",
            count=True,
            help="Log to stderr, and show tracebacks of errors; give it twice for more.",
        ),
    ]


def _aliases(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from .completion import aliases  # Late: it is built on this module.

    return aliases(context, parameter, incomplete)


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    choices = context.find_root().ensure_object(Choices)
    source = context.get_parameter_source(parameter.name or "")
    if source is ParameterSource.DEFAULT or not parameter.name:
        return
    setattr(choices, parameter.name, value)
    if source is ParameterSource.COMMANDLINE:
        choices.typed.add(parameter.name)


class Verb(click.Command):
    """A command that takes the global options too."""

    def __init__(self, *arguments: Any, **attributes: Any):
        super().__init__(*arguments, **attributes)
        self.params += global_options(root=False)

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        formatter.write_text(REMINDER)


class Noun(click.Group):
    """A group of commands that takes the global options too. `default` is the command meant when none is named."""

    command_class = Verb

    def __init__(self, *arguments: Any, default: str | None = None, **attributes: Any):
        super().__init__(*arguments, **attributes)
        self.params += global_options(root=False)
        self._default = default
        if default:
            self.no_args_is_help = False

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if self._default and not context.resilient_parsing and not self._names_command(context, args):
            args = [self._default, *args]
        return super().parse_args(context, args)

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(context, args)
        except click.UsageError as error:
            close = get_close_matches(args[0], self.list_commands(context), 2)
            if not close or "Did you mean" in error.message:
                raise
            raise click.UsageError(f"{error.message} Did you mean {' or '.join(map(repr, close))}?", context) from error

    def _names_command(self, context: click.Context, args: list[str]) -> bool:
        """Whether a command (or --help) follows the options that are the group's own."""
        try:
            values, rest, _ = self.make_parser(context).parse_args(args=list(args))
        except click.UsageError:
            return False  # An option of the default command.
        return bool(rest) or "help" in values
