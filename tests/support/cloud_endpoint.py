"""The configuration endpoint of a cloud's memcached, before a real one."""

from collections.abc import Sequence

from django_dcache.testing import LocalNode, ScriptedNode


class CloudEndpoint(ScriptedNode):
    """Answers `config get cluster` with `nodes` (HOST|IP|PORT), and everything else as `node` does."""

    def __init__(self, node: LocalNode):
        super().__init__(self._reply)
        self._node, self._version = node, 0
        self.nodes: Sequence[str] = ()

    def _reply(self, command: bytes, _: int) -> bytes:
        if command != b"config get cluster":
            return self._node.ask(command + b"\r\n")
        self._version += 1
        return configuration(self._version, self.nodes)


def configuration(version: int, nodes: Sequence[str]) -> bytes:
    said = f"{version}\n{' '.join(nodes)}\n".encode()
    return b"CONFIG cluster 0 %d\r\n%b\r\nEND\r\n" % (len(said), said)
