"""A name server on loopback that says what a test wants."""

import socket
from threading import Thread

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset


class NameServer:
    """`with NameServer() as server: server.records[name, "SRV"] = ["0 0 11211 cache-0.cache.test."]`

    A name of which it has no record at all does not exist. `failing`: it answers SERVFAIL. Ask it by `server.address`.
    """

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.failing = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "NameServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ending:
            ending.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            asked, client = self._socket.recvfrom(4096)
            if not asked:
                return
            self._socket.sendto(self._answer(dns.message.from_wire(asked)).to_wire(), client)

    def _answer(self, asked: dns.message.Message) -> dns.message.Message:
        said, (question,) = dns.message.make_response(asked), asked.question
        said.flags |= dns.flags.RA
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        if self.failing:
            said.set_rcode(dns.rcode.SERVFAIL)
        elif not any(known == name for known, _ in self.records):
            said.set_rcode(dns.rcode.NXDOMAIN)
        elif texts := self.records.get((name, kind)):
            said.answer.append(dns.rrset.from_text(question.name, 5, "IN", kind, *texts))
        return said
