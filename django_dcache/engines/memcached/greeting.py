"""The first command on every connection: a server that can't be used shows it before anything is at stake.

`mn` changes nothing and takes no argument. A memcached that has no room for another connection, wants a login, or is
too old for meta commands answers with an error line, and one that hangs with nothing.
"""

from ...errors import ProtocolViolation
from ...model.addresses import Login
from ...model.topology import Node

QUESTION = b"mn\r\n"
ANSWER = b"MN\r\n"

_MATTERS = {
    b"ERROR Too many open connections": "it takes no more connections",
    b"CLIENT_ERROR unauth": "it wants a login",
    b"ERROR\r\n": "it is too old",
}


def _matter(said: bytes) -> str:
    """What is wrong with a server that said this instead of the answer."""
    return next((words for start, words in _MATTERS.items() if said.startswith(start)), "another service answers there")


class Greeting:
    """One exchange of greetings."""

    def __init__(self, node: Node, login: Login | None = None, fleet: str = ""):
        self.request = QUESTION
        self.returned = ""  # It starts empty.
        self._said = b""

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; True once the node has greeted. Raises ProtocolViolation."""
        self._said += chunk
        if not ANSWER.startswith(self._said):
            raise ProtocolViolation(f"it said {self._said[:80]!r}", cause=_matter(self._said))
        return self._said == ANSWER
