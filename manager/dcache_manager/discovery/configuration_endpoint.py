"""elasticache:HOST[:PORT], memorystore:HOST[:PORT]: the nodes that a cloud's configuration endpoint names.

    elasticache:shop.x.cfg.euc1.cache.amazonaws.com?tls=yes

It speaks memcached and knows one command more, `config get cluster`. Its answer has for each node a host name, which
stays when the node is replaced, its present address, and its port; or the address twice, where nodes have no names.
"""

import re
import socket
import ssl
import time
from ipaddress import ip_address

from django_dcache.errors import ConfigurationError, InvalidTopology
from django_dcache.model import addresses

from ..errors import SourceFailed
from .answer import Answer, Found, answer
from .options import split_options

SECONDS = 5.0
"""For the endpoint to answer."""
MOST_BYTES = 2**17
"""Of an answer: a thousand nodes have a tenth of that."""
_reply = re.compile(rb"CONFIG cluster \d+ \d+\r\n\d+\n(?P<nodes>[^\r\n]*)\n?\r\nEND\r\n").fullmatch


class ConfigurationEndpoint:
    def __init__(self, text: str, seconds: float = SECONDS):
        """Raises ConfigurationError."""
        self._seconds = seconds
        where, options = split_options(text, "tls")
        if options.get("tls", "no") not in ("yes", "no"):
            raise ConfigurationError(f"{text}: tls is {options['tls']!r}, want yes or no")
        self._tls = ssl.create_default_context() if options.get("tls") == "yes" else None
        try:
            endpoint = addresses.parse(where).endpoints[0]
        except InvalidTopology as error:
            raise ConfigurationError(str(error)) from error
        if isinstance(endpoint, str):
            raise ConfigurationError(f"{text}: want HOST:PORT")
        self._host, self._port = endpoint

    def read(self) -> Answer:
        """Raises SourceFailed."""
        try:
            said = self._ask(b"config get cluster\r\n", time.monotonic() + self._seconds)
            if not (match := _reply(said)):
                raise SourceFailed(f"the endpoint says {said[:60]!r}, want CONFIG cluster")
            return answer(_found(entry) for entry in match["nodes"].decode("ascii").split())
        except (OSError, ValueError, InvalidTopology) as error:  # ssl's errors are OSErrors.
            raise SourceFailed(str(error)) from error

    def _ask(self, question: bytes, deadline: float) -> bytes:
        with socket.create_connection((self._host, self._port), self._seconds) as plain:
            with self._tls.wrap_socket(plain, server_hostname=self._host) if self._tls else plain as connection:
                connection.sendall(question)
                said = b""
                # An answer ends with END, an error is one line.
                while not said.endswith(b"END\r\n") and not (said.endswith(b"\r\n") and not said.startswith(b"CONFIG")):
                    connection.settimeout(max(0.001, deadline - time.monotonic()))
                    chunk = connection.recv(65536)
                    if not chunk or len(said) > MOST_BYTES:
                        break
                    said += chunk
                return said


def _found(entry: str) -> Found:
    """HOST|IP|PORT; either of the first two may be empty. Raises ValueError, InvalidTopology."""
    host, address, port = entry.split("|")
    try:
        ip_address(host)
    except ValueError:
        named = bool(host)
    else:
        named = False
    where = host or address
    return Found(f"[{where}]:{port}" if ":" in where else f"{where}:{port}", host if named else "")
