"""The root of dcache-admin: names of commands, imported when they are used; and what becomes of errors."""

import json
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import FrameType
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

import django_dcache
from django_dcache.errors import DCacheError

from ..formatting import printable
from .exit_codes import Exit, exit_code
from .options import Choices, Noun, global_options

COMMANDS = {
    "status": "Show one row per node: state, share, memory, hits.",
    "top": "Show what the nodes do now, and the keys that are asked for most.",
    "ring": "Show where keys live, and which node owns how much.",
    "node": "List, add, remove, drain, weigh and readdress nodes, and take them out of service.",
    "rebalance": "Change the fleet and move its keys while it serves.",
    "adopt": "Take over the nodes of another backend while the site runs.",
    "state": "Mend keepers whose copy of the fleet's state is not to be believed.",
    "verify": "Compare what the replicas of each key hold.",
    "invalidate": "Make cached values unreadable, here and in every other region.",
    "warm": "Fill the cache before visitors ask.",
    "jobs": "List and steer resizes and runs of warmers.",
    "metrics": "Print what nodes and jobs say of themselves, as Prometheus reads it.",
    "autopilot": "Heal the fleet, give each key its copies again, and make it what a source says.",
    "doctor": "Check the fleet, its nodes and the broker for problems.",
    "local": "Start and stop servers on this machine, for trying things.",
    "demo": "A site on three nodes, under load: a fourth one joins, one dies.",
    "completion": "Print the completion script for SHELL.",
}
"""Each is `command` in the module of its name. Said here, so that help need not import them."""
PLUGINS = "dcache_admin.commands"
"""The entry point group of commands that other distributions bring, such as `drill`."""


class Root(Noun):
    """The group of all commands."""

    def list_commands(self, context: click.Context) -> list[str]:
        return [*COMMANDS, *_plugins()]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            plugin = _plugins().get(name)
            return plugin.load() if plugin else None
        command: click.Command = import_module(f"{__package__}.commands.{name}").command
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(
                [*COMMANDS.items(), *((name, f"From {plugin.value}.") for name, plugin in _plugins().items())]
            )

    def shell_complete(self, context: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, context, incomplete)


def _plugins() -> dict[str, EntryPoint]:
    """Commands that other distributions bring, by name."""
    return {plugin.name: plugin for plugin in entry_points(group=PLUGINS)}


def _root() -> Root:
    root = Root(
        "dcache-admin",
        help="Look at a fleet of cache nodes, and change it while the site runs.",
        context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "DCACHE"},
        no_args_is_help=True,
    )
    root.params[:] = global_options(root=True)
    return click.version_option(django_dcache.__version__, message="%(prog)s %(version)s")(root)


root = _root()


def run(arguments: Sequence[str] | None = None, prog_name: str = "dcache-admin") -> int:
    """Run one command line; its exit code. Errors are told on stderr, with --json also as the answer."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    choices = Choices(arguments=arguments)
    try:
        code: int | None = root.main(arguments, prog_name, standalone_mode=False, obj=choices)
        return code or Exit.OK
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort as abort:
        return Exit.INTERRUPTED if isinstance(abort.__cause__, KeyboardInterrupt) else Exit.REFUSED
    except Exception as error:
        _tell(error, choices)
        return exit_code(error) if isinstance(error, DCacheError) else Exit.FAILED


def _tell(error: Exception, choices: Choices) -> None:
    if choices.verbose:
        for line in traceback.format_exception(error):
            click.echo("\n".join(map(printable, line.splitlines())), err=True)
    expected = isinstance(error, DCacheError)
    message = str(error) if expected else f"{type(error).__name__}: {error} (-v shows where)"
    click.echo(f"Error: {printable(message)}", err=True)
    if choices.json:
        envelope = {"schema": "dcache.error/v1", "alias": choices.cache, "epoch": getattr(error, "epoch", None)}
        envelope |= {"phase": None, "generated_at": datetime.now(UTC).isoformat(timespec="seconds"), "items": []}
        kind = {"error": type(error).__name__, "message": message}
        click.echo(json.dumps(envelope | {"errors": [kind]}))


def main(arguments: Sequence[str] | None = None, prog_name: str = "dcache-admin") -> NoReturn:
    """The console script. SIGTERM, by which services are stopped, ends a command as Ctrl-C does: in good order."""
    terminated = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal terminated
        terminated = True
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    code = run(arguments, prog_name)
    if terminated:  # The parent sees that the signal ended this process.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    sys.exit(code)
