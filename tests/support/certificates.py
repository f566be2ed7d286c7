"""Certificates of an authority of the tests' own, made by openssl; and nodes that speak TLS with them."""

import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from django_dcache.testing import LocalNode, LocalRedis, dial
from django_dcache.testing.process import PATIENCE, ServerProcess

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Authority:
    """Signs certificates. `certificate`: what is to be trusted."""

    def __init__(self, folder: Path):
        if not shutil.which("openssl"):
            pytest.skip("there is no openssl to make a certificate")
        self._folder = folder
        self.certificate, self._key = str(folder / "ca.pem"), str(folder / "ca.key")
        _openssl("req", "-x509", *NEW_KEY, "-subj", "/CN=tests", "-keyout", self._key, "-out", self.certificate)

    def sign(self, name: str, host: str = "127.0.0.1", days: int = 30) -> tuple[str, str]:
        """The files of a new certificate for this host, and of its key."""
        certificate, key = str(self._folder / f"{name}.pem"), str(self._folder / f"{name}.key")
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName=IP:{host}\n")
        _openssl("req", *NEW_KEY, "-subj", f"/CN={name}", "-keyout", key, "-out", str(request))
        signing = ("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-days", str(days))
        _openssl("x509", "-req", "-in", str(request), *signing, "-extfile", str(extensions), "-out", certificate)
        return certificate, key

    def keystore(self, name: str) -> tuple[Path, str]:
        """A PKCS #12 file with a new certificate and its key, and the password of it."""
        (certificate, key), file, password = self.sign(name), self._folder / f"{name}.p12", "s3cret"
        named = ("-in", certificate, "-inkey", key, "-name", name, "-passout", f"pass:{password}", "-out", str(file))
        _openssl("pkcs12", "-export", *named)
        return file, password

    def server_context(self, certificate: str, key: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context

    def context(self) -> ssl.SSLContext:
        """Of a client that trusts this authority."""
        return ssl.create_default_context(cafile=self.certificate)

    def node(self, certificate: str, key: str, *extra: str, options: str = "") -> LocalNode:
        """A memcached that speaks TLS. `extra`: more arguments; `options`: more for its -o."""
        memcached = os.environ.get("DCACHE_MEMCACHED", "memcached")
        if b"--enable-ssl" not in subprocess.check_output([memcached, "-h"]):
            pytest.skip("this memcached has no TLS")
        return TlsNode(extra=["-Z", "-o", f"ssl_chain_cert={certificate},ssl_key={key}{options}", *extra])


class SpeaksTls(ServerProcess):
    """It is ready when it takes a connection and answers it by anything."""

    def await_ready(self, deadline: float = 10.0) -> None:
        until = time.monotonic() + deadline
        context = ssl._create_unverified_context()
        while True:
            try:
                with dial(self.endpoint) as stream, context.wrap_socket(stream):
                    return
            except OSError:
                if not self.running or time.monotonic() > until:
                    raise
            time.sleep(PATIENCE)  # A test that goes first on its core would not let the node start.


class TlsNode(SpeaksTls, LocalNode):
    pass


class TlsRedis(SpeaksTls, LocalRedis):
    """A Redis that speaks TLS only, by this certificate."""

    def __init__(self, certificate: str, key: str, **options: Any):
        self._files = ("--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients", "no")
        super().__init__(**options)

    def _command_line(self) -> Sequence[str]:
        command = [*super()._command_line(), "--port", "0", "--tls-port", str(self._port), *self._files]
        self.address = self.address.replace("redis:", "rediss:")
        return [*command, "--tls-ca-cert-file", self._files[1]]


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
