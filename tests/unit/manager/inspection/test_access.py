"""How a command gets to the nodes: TLS and a login from the command line, and where a password may come from."""

import os
import ssl
from pathlib import Path

import pytest

from dcache_manager.cli.options import Choices
from dcache_manager.inspection.access import VARIABLE, reached
from dcache_manager.inspection.target import of_nodes
from django_dcache.errors import ConfigurationError
from support.certificates import Authority


def refuse(question):
    raise AssertionError(f"asked for {question}")


def options(**given):
    return reached(of_nodes("10.0.0.1"), **{"ask": refuse} | given).configuration.options


def test_nothing_said():
    """Without an option it is as the project has it."""
    target = of_nodes("10.0.0.1")
    assert reached(target, ask=refuse) is target


def test_passwords(tmp_path):
    """The password is the first line of a file, else that of the environment, else it is asked for."""
    file = tmp_path / "password"
    file.write_text("of the file\nrest\n")
    assert options(user="shop", password_file=str(file)).login() == ("shop", "of the file")
    os.environ[VARIABLE] = "of the environment"
    try:
        assert options(user="shop").login() == ("shop", "of the environment")
    finally:
        del os.environ[VARIABLE]
    asked = []
    assert options(user="shop", ask=lambda question: asked.append(question) or "typed").login() == ("shop", "typed")
    assert asked == ["Password of shop"]


def test_without_a_terminal():
    """Where no terminal can be asked, the error says what to set."""
    with pytest.raises(ConfigurationError, match=VARIABLE):
        options(user="shop", ask=Choices().password)


def test_tls(tmp_path):
    """Authorities and a certificate of our own make a context that checks the node's."""
    authority = Authority(tmp_path)
    certificate, key = authority.sign("client")
    both = tmp_path / "both.pem"
    both.write_text(Path(certificate).read_text() + Path(key).read_text())
    context = options(tls_ca=authority.certificate, tls_cert=str(both)).tls
    assert context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname


@pytest.mark.parametrize(
    "given",
    [
        {"tls_ca": "/nowhere"},
        {"tls_cert": "/nowhere"},
        {"password_file": "/nowhere"},
        {"user": "shop", "password_file": "/nowhere"},
        {"user": "shop", "password_file": os.devnull},
        {"tls_ca": os.devnull},
    ],
)
def test_what_is_refused(given):
    """A file that is none, or a password without a user, is a usage error."""
    with pytest.raises(ConfigurationError):
        options(**given)
