"""What the manager raises beside django_dcache.errors. `cli/exit_codes.py` says how a command ends that raises it.

Each docstring is the exception's message when none is given.
"""

from django_dcache.errors import ConfigurationError, DCacheError, InvalidTopology


class NothingReachable(DCacheError):
    """No node of this fleet can be reached; start them, or correct LOCATION or --nodes."""


class NoProject(ConfigurationError):
    """This needs a Django project; give --settings MODULE."""


class NotInstalled(ConfigurationError):
    """This needs the app dcache_manager; add it to INSTALLED_APPS, and run `manage.py migrate`."""


class NotFound(ConfigurationError):
    """There is nothing by this name; nothing was changed."""


class NoSuchNode(InvalidTopology):
    """The fleet has no node by this name or address; nothing was changed."""


class NotPossible(ConfigurationError):
    """This can't be done; nothing was changed."""


class NotConfirmed(DCacheError):
    """Not confirmed; nothing was changed. Without a terminal, pass --yes."""


class NothingToRepair(DCacheError):
    """This node holds no document that has to be repaired; nothing was changed."""


class TimedOut(DCacheError):
    """Stopped waiting; the job continues, and `jobs list` or `rebalance status` shows its progress."""


class JobFailed(DCacheError):
    """The job failed."""

    def __init__(self, detail: str, cause: str = ""):
        """`cause`: the name of the error that ended it, where it ran."""
        super().__init__(detail)
        self.cause = cause


class JobIncomplete(DCacheError):
    """The job ended with items that failed, or was cancelled."""


class Cancelled(DCacheError):
    """The resize was cancelled; the fleet has the layout it had before."""


class ClaimLost(DCacheError):
    """Another worker has taken over this job or step."""


class BrokerAway(DCacheError):
    """The broker did not take the message; start it, or correct broker_url."""


class SourceFailed(DCacheError):
    """The source of the layout can't be read."""


class Adjourned(Exception):
    """This conductor's turn is over and another one continues: nothing has ended, and nothing has failed."""
