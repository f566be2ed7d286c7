"""dns:NAME[:PORT] and srv:NAME: the nodes that a name server knows.

    dns:cache.example.org:11211                             an address record for each node: AAAA where there is no A
    srv:_memcache._tcp.cache.default.svc.cluster.local      a service record for each: names that stay, and ports
    …?nameserver=10.96.0.10:53                              asks this server, not those of /etc/resolv.conf
    …?scheme=redis                                          what lies before `://` in the addresses

A service record's node is known by its host, without the domain of the service (`cache-0`), and with the port where
that is not the usual one. Its address is the name of the host, which each process looks up again. Needs dnspython
(`pip install django-dcache[discovery]`).
"""

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

import dns.exception
import dns.name
import dns.resolver

from django_dcache.errors import ConfigurationError, InvalidTopology
from django_dcache.model import addresses

from ..errors import SourceFailed
from .answer import Answer, Found, answer
from .options import split_options

SECONDS = 5.0
"""For a name server to answer, with all its retries."""


class _Names:
    """What both sources have: a resolver, and what becomes of its errors."""

    def __init__(self, text: str):
        """Raises ConfigurationError."""
        self._where, options = split_options(text, "nameserver", "scheme")
        self._scheme = f"{options['scheme']}://" if "scheme" in options else ""
        try:
            self._resolver = _resolver(options.get("nameserver", ""))
        except (dns.exception.DNSException, ValueError) as error:
            raise ConfigurationError(f"{text}: {error}") from error

    def read(self) -> Answer:
        """Raises SourceFailed."""
        try:
            return answer(self._found())
        except (dns.exception.DNSException, InvalidTopology) as error:
            raise SourceFailed(str(error)) from error

    def _found(self) -> Iterable[Found]:
        raise NotImplementedError

    def _records(self, name: str, kind: str) -> Any:
        """The answer of the name server; None where there are no such records."""
        try:
            said = self._resolver.resolve(name, kind, search=True, lifetime=SECONDS, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return None
        return said if said.rrset else None


class AddressRecords(_Names):
    def _found(self) -> Iterator[Found]:
        host, colon, port = self._where.rpartition(":")
        name, port = (host, f":{port}") if colon else (port, "")
        for kind in ("A", "AAAA"):
            records = self._records(name, kind) or ()
            for record in records:
                where = f"[{record.address}]" if kind == "AAAA" else record.address
                yield Found(f"{self._scheme}{where}{port}")
            # A node with addresses of both kinds is one node.
            if records:
                return


class ServiceRecords(_Names):
    def _found(self) -> Iterator[Found]:
        said = self._records(self._where, "SRV")
        if said is None:
            return
        domain = said.qname
        while domain.labels[0].startswith(b"_"):
            domain = domain.parent()
        for record in said:
            if record.target == dns.name.root:
                continue  # "There is no such service."
            host = record.target.to_text(omit_final_dot=True).lower()
            inside = record.target != domain and record.target.is_subdomain(domain)
            name = record.target.relativize(domain).to_text().lower() if inside else host
            address = addresses.parse(f"{self._scheme}{host}:{record.port}")
            yield Found(str(address), address._replace(host=name).short)


RECORDS: dict[str, type[_Names]] = {"dns": AddressRecords, "srv": ServiceRecords}


def _resolver(nameserver: str) -> dns.resolver.Resolver:
    if not nameserver:
        return dns.resolver.Resolver()
    split = urlsplit(f"//{nameserver}")
    made = dns.resolver.Resolver(configure=False)
    made.nameservers, made.port = [split.hostname or ""], split.port or 53
    return made
