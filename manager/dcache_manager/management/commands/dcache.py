"""`manage.py dcache` is `dcache-admin` with the project's settings."""

from argparse import REMAINDER, ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from dcache_manager.cli.main import main, run


class Command(BaseCommand):
    help = "Look at a fleet of cache nodes, and change it while the site runs (dcache-admin)."
    requires_system_checks: list[str] = []  # It is what one looks with when something is wrong.

    def run_from_argv(self, argv: list[str]) -> None:
        """Hand the command line over as it is: options and exit codes are dcache-admin's."""
        main(argv[2:], f"{Path(argv[0]).name} {argv[1]}")

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("arguments", nargs=REMAINDER, help="what dcache-admin takes")

    def handle(self, *, arguments: list[str], **options: object) -> None:
        """For call_command(). Raises CommandError with the exit code."""
        code = run(arguments, "dcache")
        if code:
            raise CommandError(f"dcache {' '.join(arguments)} ended with {code}", returncode=code)
