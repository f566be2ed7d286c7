"""Links that take time: a relay before each node, in a process of its own that has the other cores to itself.

A thread for each connection sleeps, which is exact to a twentieth of a millisecond; event loops count in whole ones.

python -m benchmarks.links SECONDS ADDRESS...   prints the relays' addresses, and carries until its input ends
"""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from .servers import away

CHUNK_BYTES = 2**16


@contextmanager
def slow(addresses: Sequence[str], seconds: float) -> Iterator[dict[str, str]]:
    """Where to reach each node so that every reply takes that much longer."""
    command = [sys.executable, "-m", "benchmarks.links", str(seconds), *addresses]
    with away():
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdin and process.stdout
        try:
            yield dict(zip(addresses, process.stdout.readline().split(), strict=True))
        finally:
            process.stdin.close()


def main(seconds: float, addresses: Sequence[str]) -> None:
    relays = []
    for address in addresses:
        listener = socket.create_server(("127.0.0.1", 0))
        relays.append(f"127.0.0.1:{listener.getsockname()[1]}")
        threading.Thread(target=_accept, args=(listener, address, seconds), daemon=True).start()
    print(*relays, flush=True)
    sys.stdin.read()


def _accept(listener: socket.socket, address: str, seconds: float) -> None:
    host, _, port = address.rpartition(":")
    while True:
        client, _ = listener.accept()
        node = socket.create_connection((host, int(port)))
        for one in (client, node):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        threading.Thread(target=_carry, args=(client, node, 0.0), daemon=True).start()
        threading.Thread(target=_carry, args=(node, client, seconds), daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket, seconds: float) -> None:
    with source, sink, suppress(OSError):
        while data := source.recv(CHUNK_BYTES):
            if seconds:
                time.sleep(seconds)
            sink.sendall(data)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
