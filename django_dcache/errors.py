"""The exception tree.

    DCacheError
    ├── ConfigurationError      OPTIONS or LOCATION can't be used
    ├── InvalidKey              refused before anything was sent
    ├── InvalidTopology         a fleet document that can't be trusted; nothing changed
    │   └── UnknownFormat       … because a newer release wrote it
    │       ├── NotOurs         … because it is another project's
    │       └── UntrustedState  … because we did not sign it, or it can't be true
    ├── Conflict                another process holds or has moved what this call wanted to change
    ├── TooManyPrefixes         the fleet state has no room for another prefix generation
    ├── UnreadableValue         stored bytes that are no value, or not one that may be decoded here
    ├── ValueTooLarge           above OPTIONS["max_value"]; nothing was sent
    ├── NoMajority              too few keepers answered; the fleet state could not be read or written
    └── NodeFailure             no usable reply from one node
        ├── NodeUnreachable     no connection: nothing was sent
        │   ├── NodeUnresolved  … because no address is known for its name
        │   └── NotGreeted      … because it took one and said nothing, or something wrong
        ├── NodeDown            the breaker is open: nothing was sent
        ├── NodeTimeout         the deadline passed before the reply was complete
        ├── ConnectionLost      the peer closed or reset the connection
        ├── ProtocolViolation   the reply was not the one that was asked for
        ├── NotServed           the node left the fleet: nothing was sent
        ├── NoReplica           every replica of a key failed
        └── LeaseLost           the connection that issued the token is gone: nothing was sent

Each docstring is the exception's message when none is given.
"""

from typing import Any


class DCacheError(Exception):
    """The cache fleet could not do what was asked."""

    def __init__(self, detail: str = "", *, node: str | None = None, epoch: int | None = None):
        self.detail, self.node, self.epoch = detail, node, epoch
        message = self.__doc__ or ""
        if detail:
            message = f"{message.rstrip('.')}: {detail}"
        where = ", ".join(
            f"{label} {value}" for label, value in (("node", node), ("epoch", epoch)) if value is not None
        )
        super().__init__(f"{message} [{where}]" if where else message)

    def __reduce__(self) -> tuple[Any, ...]:
        # Copied and pickled with its message, of which __init__ would make another one.
        return type(self).__new__, (type(self), *self.args), self.__dict__


class ConfigurationError(DCacheError):
    """This cache configuration can't be used."""


class InvalidKey(DCacheError, ValueError):
    """This key would be refused or misread by a node; nothing was sent."""


class InvalidTopology(DCacheError, ValueError):
    """This topology document is not valid; the fleet was left as it was."""


class UnknownFormat(InvalidTopology):
    """A newer release wrote this fleet's state; upgrade django-dcache here too."""


class NotOurs(UnknownFormat):
    """These nodes hold a fleet that is not known to be this project's: it is neither read nor written."""


class UntrustedState(UnknownFormat):
    """What this keeper holds as the fleet's state is not to be believed; `dcache-admin state repair` mends it."""


class Conflict(DCacheError):
    """Another process holds the conductor's lease or has moved the fleet on; look again, then repeat."""


class Coexisting(Conflict):
    """Processes with the backend of before still use these nodes, and know nothing of leases and of other nodes; once
    they are gone, `dcache-admin adopt finish` says so."""


class TooManyPrefixes(DCacheError):
    """The fleet already keeps generations of as many made prefixes as it can; keep to a few in OPTIONS["prefixes"]."""


class UnreadableValue(DCacheError):
    """The stored bytes can't be turned into a value: written by other software, or by a newer version of a class."""


class ValueTooLarge(DCacheError):
    """This value is too large to be stored; nothing was sent."""


class NoMajority(DCacheError):
    """Too few keepers answered to read or write the fleet state; bring the nodes named by `status` back first."""


class NodeFailure(DCacheError):
    """A node gave no usable reply."""

    sent = True
    """Whether bytes may have left: if so, the command may have happened, or may happen later."""
    cause = "it failed"
    """What is the matter with the node, in a few words that repeat: for logs and metrics."""

    def __init__(self, detail: str = "", *, node: str | None = None, epoch: int | None = None, cause: str = ""):
        super().__init__(detail, node=node, epoch=epoch)
        if cause:
            self.cause = cause


class NodeUnreachable(NodeFailure):
    """No connection to the node could be made."""

    sent = False
    cause = "it can't be reached"


class NodeUnresolved(NodeUnreachable):
    """The node's name has no address: none was found in time, and none was known from before."""

    cause = "its name has no address"


class NotGreeted(NodeUnreachable):
    """The node took the connection and can't be used: it hangs, is full, wants a login or is too old."""

    cause = "it takes connections and does not answer"


class NodeDown(NodeFailure):
    """The node failed repeatedly and is left alone until its next probe."""

    sent = False
    silent_seconds = float("inf")
    """For how long it has said nothing; one on which nothing listens says so."""


class NodeTimeout(NodeFailure):
    """The node did not answer within the deadline."""

    cause = "it does not answer in time"


class ConnectionLost(NodeFailure):
    """The connection closed before the reply was complete."""

    cause = "it closes connections"


class ProtocolViolation(NodeFailure):
    """The node sent something that is no reply to what was asked; the connection was closed."""

    cause = "its replies make no sense"


class NotServed(NodeFailure):
    """The node has left the fleet while the operation was under way; nothing was sent."""

    sent = False


class NoReplica(NodeFailure):
    """No replica of the key could be read or written; `status` shows which nodes are down."""


class LeaseLost(NodeFailure):
    """The connection that issued this token is gone, and tokens repeat after a restart; nothing was sent."""

    sent = False
