"""A fake node that answers whatever a test tells it to."""

from collections.abc import Callable
from typing import TypeAlias

from .answers import Answer
from .connection import Side
from .dialogue import Splitter, command_block
from .endpoint import Endpoint

Script: TypeAlias = Callable[[bytes, int], Answer] | list[Answer] | Answer


class ScriptedNode(Endpoint):
    """Answers each command by `script`: a function of the command and the number of its connection (from 1), a list of
    answers, the last of which is given again and again, or one answer for everything.

        with ScriptedNode([b"HD\\r\\n", RESET, (b"VA 5\\r\\nhe", CLOSE), Dribble(b"EN\\r\\n", 0.1)]) as node: ...

    A command is its line, with its data block if it has one, without the last line end. The function runs in the
    node's own thread and must not block; what it raises resets the connection and is raised again by `stop()`.

    `mn` as the first command of a connection is a greeting: it is answered as a node does, and no part of the script
    unless `greets` is false.
    """

    def __init__(self, script: Script, host: str = "127.0.0.1", greets: bool = True):
        super().__init__(host)
        self._greets = greets
        self._script = script if callable(script) else _recited(script if isinstance(script, list) else [script])
        self.commands: list[bytes] = []
        """Every command received, on all connections, in order; also those after the node closed its own direction."""

    async def _serve(self, client: Side, number: int) -> None:
        splitter = Splitter(command_block)
        greets = self._greets
        while data := await client.receive():
            for unit in splitter.feed(data):
                command = unit.removesuffix(b"\n").removesuffix(b"\r")
                greeted, greets = greets and command == b"mn", False
                if greeted:
                    client.send(b"MN\r\n")
                    continue
                self.commands.append(command)
                if not client.ended:
                    await self._give(client, self._script(command, number))


def _recited(answers: list[Answer]) -> Callable[[bytes, int], Answer]:
    left = list(answers)
    return lambda command, number: left.pop(0) if len(left) > 1 else left[0]
