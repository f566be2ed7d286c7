"""How a command ends: the exit codes, and which error means which. `docs/reference/cli.md` prints this table."""

from enum import IntEnum

from django_dcache.errors import ConfigurationError, Conflict, DCacheError, InvalidKey, InvalidTopology


class Exit(IntEnum):
    """Exit codes of dcache-admin."""

    OK = 0, "done"
    FAILED = 1, "failed"
    USAGE = 2, "the command line or the configuration can't be used; nothing was done"
    PARTIAL = 3, "done in part, or the fleet is degraded"
    UNREACHABLE = 4, "no node of the fleet can be reached"
    CONFLICT = 5, "another conductor is at work, or the epoch has moved on"
    REFUSED = 6, "not confirmed; nothing was done"
    CHANGES = 10, "the plan has changes (only with --exit-code)"
    TIMED_OUT = 124, "waiting timed out; the job goes on"
    INTERRUPTED = 130, "interrupted; what was begun can be resumed"

    meaning: str

    def __new__(cls, code: int, meaning: str) -> "Exit":
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


class NothingReachable(DCacheError):
    """No node of this fleet can be reached."""


class NotConfirmed(DCacheError):
    """This was not confirmed, and nothing was done; where nobody can be asked, --yes confirms."""


class TimedOut(DCacheError):
    """Not waiting any longer; the job goes on, and `rebalance status` shows how far it is."""


_codes = {
    Conflict: Exit.CONFLICT,
    NothingReachable: Exit.UNREACHABLE,
    NotConfirmed: Exit.REFUSED,
    TimedOut: Exit.TIMED_OUT,
    ConfigurationError: Exit.USAGE,
    InvalidKey: Exit.USAGE,
    InvalidTopology: Exit.USAGE,
}


class JobFailed(DCacheError):
    """The background job failed."""

    def __init__(self, detail: str, code: int):
        super().__init__(detail)
        self.code = code


def code_of(name: str) -> int:
    """The code for an error of this name, which happened elsewhere."""
    return next((code for kind, code in _codes.items() if kind.__name__ == name), Exit.FAILED)


def exit_code(error: DCacheError) -> int:
    """The code of the nearest class in the table."""
    if isinstance(error, JobFailed):
        return error.code
    return next((_codes[kind] for kind in type(error).__mro__ if kind in _codes), Exit.FAILED)
