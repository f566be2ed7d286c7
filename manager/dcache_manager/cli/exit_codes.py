"""How a command ends: the exit codes, and which error means which. `docs/reference/cli.md` prints this table."""

from enum import IntEnum

from django_dcache.errors import ConfigurationError, Conflict, DCacheError, InvalidKey, InvalidTopology

from ..errors import JobFailed, JobIncomplete, NotConfirmed, NothingReachable, TimedOut


class Exit(IntEnum):
    """Exit codes of dcache-admin."""

    OK = 0, "done"
    FAILED = 1, "failed"
    USAGE = 2, "the command line or the configuration can't be used; nothing was changed"
    PARTIAL = 3, "done in part, or the fleet is degraded"
    UNREACHABLE = 4, "no node of the fleet can be reached"
    CONFLICT = 5, "another conductor or dump is at work, or the fleet has moved on to another epoch"
    REFUSED = 6, "not confirmed; nothing was changed"
    CHANGES = 10, "the plan has changes (only with --exit-code)"
    TIMED_OUT = 124, "stopped waiting; the job continues"
    INTERRUPTED = 130, "interrupted; what was begun can be resumed"

    meaning: str

    def __new__(cls, code: int, meaning: str) -> "Exit":
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


_codes: dict[type[DCacheError], int] = {
    Conflict: Exit.CONFLICT,
    NothingReachable: Exit.UNREACHABLE,
    NotConfirmed: Exit.REFUSED,
    TimedOut: Exit.TIMED_OUT,
    JobIncomplete: Exit.PARTIAL,
    ConfigurationError: Exit.USAGE,
    InvalidKey: Exit.USAGE,
    InvalidTopology: Exit.USAGE,
}


class CommandFailed(DCacheError):
    """The command in the background failed."""

    def __init__(self, detail: str, code: int):
        super().__init__(detail)
        self.code = code


def exit_code(error: DCacheError) -> int:
    """The code of the nearest class in the table; of a job, that of the error which ended it."""
    if isinstance(error, CommandFailed):
        return error.code
    if isinstance(error, JobFailed):
        return next((code for kind, code in _codes.items() if kind.__name__ == error.cause), Exit.FAILED)
    return next((_codes[kind] for kind in type(error).__mro__ if kind in _codes), Exit.FAILED)
