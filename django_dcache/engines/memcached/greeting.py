"""What is said first on every connection: a server that can't be used says so before anything is at stake.

`mn` changes nothing and takes no argument. A memcached that has no room for another connection, wants a login, or is
too old for meta commands answers with an error line, and one that hangs with nothing.
"""

from ...errors import ProtocolViolation
from ...model.topology import Node

QUESTION = b"mn\r\n"
ANSWER = b"MN\r\n"


class Greeting:
    """One exchange of greetings."""

    def __init__(self, node: Node):
        self.request = QUESTION
        self._said = b""

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; True once the node has greeted. Raises ProtocolViolation."""
        self._said += chunk
        if not ANSWER.startswith(self._said):
            raise ProtocolViolation(f"it said {self._said[:80]!r}")
        return self._said == ANSWER
