"""A name server on loopback that says what a test wants."""

import selectors
import socket
from threading import Thread

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset


class NameServer:
    """`with NameServer() as server: server.records[name, "SRV"] = ["0 0 11211 cache-0.cache.test."]`

    A name of which it has no record at all does not exist. `failing`: it answers SERVFAIL. What is too long for a
    datagram it says over TCP. Ask it by `server.address`.
    """

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.failing = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(self._listener.getsockname())
        self.address = "{}:{}".format(*self._listener.getsockname())
        self._thread = Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "NameServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ending:
            ending.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()
        self._listener.close()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._listener, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._listener:
                        self._answer_by_stream()
                    elif not self._answer_by_datagram():
                        return

    def _answer_by_datagram(self) -> bool:
        """False once it should end."""
        asked, client = self._socket.recvfrom(4096)
        if not asked:
            return False
        said = self._answer(dns.message.from_wire(asked))
        try:
            answer = said.to_wire(max_size=512)
        except dns.exception.TooBig:
            said.answer.clear()
            said.flags |= dns.flags.TC
            answer = said.to_wire()
        self._socket.sendto(answer, client)
        return True

    def _answer_by_stream(self) -> None:
        connection, _ = self._listener.accept()
        with connection, connection.makefile("rwb") as stream:
            asked = stream.read(int.from_bytes(stream.read(2)))
            answer = self._answer(dns.message.from_wire(asked)).to_wire()
            stream.write(len(answer).to_bytes(2) + answer)

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
