"""docs/howto/discover.md and the manifests in docs/howto/production.md are what the code takes."""

import re
import tomllib

import pytest

from dcache_manager.cli.main import root
from dcache_manager.discovery.answer import Found, from_document
from dcache_manager.discovery.source import GROUP, KINDS, source
from dcache_manager.errors import SourceFailed
from support.checkout import CHECKOUT
from support.transcripts import blocks

PAGE = "docs/howto/discover.md"


def test_sources():
    """The table has every kind of source, and each example is made; nothing is asked for that."""
    examples = re.findall(r"^\| `(\w+:[^`]+)`", (CHECKOUT / PAGE).read_text(), re.MULTILINE)
    ours = [example for example in examples if not example.startswith("NAME:")]
    assert {example.partition(":")[0] for example in ours} == set(KINDS)
    assert all(source(example) for example in ours)


def test_file():
    """The file on the page is one that a source reads."""
    nodes, entry_point = (tomllib.loads(block) for block in blocks(PAGE, "toml"))
    assert [found.name for found in from_document(nodes)] == ["cache-1", "cache-2"]
    assert list(entry_point["project"]["entry-points"]) == [GROUP]


def test_source_of_a_site():
    """The class on the page is a source, and fails as one."""
    (code,) = blocks(PAGE, "python")
    names = {}
    exec(code, names)
    host = type("Host", (), {"address": "10.0.0.1", "name": "a"})
    names["ask_our_inventory"] = lambda group: [host]
    source = names["Inventory"]("cache")
    assert source.read() == [Found("10.0.0.1:11211", "a")]

    def fail(group):
        raise OSError("away")

    names["ask_our_inventory"] = fail
    with pytest.raises(SourceFailed, match="away"):
        source.read()


def test_manifests():
    """The manifests are YAML, fit each other, and start the autopilot with options that it has."""
    yaml = pytest.importorskip("yaml")
    service, nodes, autopilot = (
        document for block in blocks("docs/howto/production.md", "yaml") for document in yaml.safe_load_all(block)
    )
    assert nodes["spec"]["serviceName"] == service["metadata"]["name"]
    assert nodes["spec"]["template"]["metadata"]["labels"] == service["spec"]["selector"]
    _, verb, *options = autopilot["spec"]["template"]["spec"]["containers"][0]["command"]
    known = {name for parameter in root.get_command(None, verb).params for name in parameter.opts}
    chosen = dict(option.split("=") for option in options)
    assert chosen.keys() <= known
    (port,) = service["spec"]["ports"]
    assert chosen["--discover"].startswith(f"srv:_{port['name']}._tcp.{service['metadata']['name']}.")
