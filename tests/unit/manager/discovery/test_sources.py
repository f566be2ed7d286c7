"""Where a layout comes from."""

import sys
from pathlib import Path

import pytest

from dcache_manager.discovery.answer import Found
from dcache_manager.discovery.source import GROUP, source
from dcache_manager.errors import SourceFailed
from django_dcache.errors import ConfigurationError

TOML = """
[[nodes]]
name = "cache-0"
address = "10.0.0.1"

[[nodes]]
name = "cache-1"
address = "10.0.0.2:11212"
weight = 2
zone = "b"
"""


def test_a_file(tmp_path: Path) -> None:
    """A file of tables or of addresses, in TOML or in JSON, is read anew each time."""
    toml, text = tmp_path / "nodes.toml", tmp_path / "nodes.json"
    toml.write_text(TOML)
    text.write_text('{"nodes": ["10.0.0.1"]}')
    expected = (Found("10.0.0.1:11211", "cache-0"), Found("10.0.0.2:11212", "cache-1", 2, "b"))
    assert source(f"file:{toml}").read() == expected
    same = source(f"file:{text}")
    assert same.read() == (Found("10.0.0.1:11211"),)
    text.write_text('{"nodes": []}')
    assert same.read() == ()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "Expecting"),
        ('{"nodes": {}}', 'want "nodes"'),
        ("[]", 'want "nodes"'),
        ('{"nodes": [{"name": "a"}]}', "is no node"),
        ('{"nodes": [{"address": "10.0.0.1", "wieght": 2}]}', "is no node"),
        ('{"nodes": [{"address": "10.0.0.1", "weight": "2"}]}', "weight '2'"),
        ('{"nodes": [{"address": "10.0.0.1", "name": "a b"}]}', "no node name"),
        ('{"nodes": [{"address": "10.0.0.1", "zone": 1}]}', "zone"),
        ('{"nodes": [{"address": 1}]}', "want a string"),
        ('{"nodes": ["10.0.0.1:port"]}', "is no address"),
        ('{"nodes": [3]}', "is no node"),
        ("\udcff", "utf-8"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_a_file_that_is_no_layout(tmp_path: Path, text: str, complaint: str) -> None:
    """What can't be read says why, and is no answer; least of all half of one."""
    file = tmp_path / "nodes.json"
    file.write_text(text, "utf-8", "surrogateescape")
    with pytest.raises(SourceFailed, match=complaint):
        source(f"file:{file}").read()


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    """It is no empty answer."""
    with pytest.raises(SourceFailed, match="No such file"):
        source(f"file:{tmp_path}/nodes.toml").read()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("/etc/nodes.toml", "want KIND:WHERE"),
        ("file:", "want KIND:WHERE"),
        ("file:/etc/nodes.yaml", r"\.toml or \.json"),
        ("fiel:/etc/nodes.toml", "did you mean 'file'"),
    ],
)
def test_no_source(text: str, complaint: str) -> None:
    """A source that can't be is refused with what to write instead."""
    with pytest.raises(ConfigurationError, match=complaint):
        source(text)


def test_a_source_of_the_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point is called with what follows its name; one that can't be imported is an error that says which."""
    package = tmp_path / "site_of_ours-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: site-of-ours\nVersion: 1\n")
    (package / "entry_points.txt").write_text(f"[{GROUP}]\nours = site_of_ours:Ours\nbroken = site_of_ours:Nothing\n")
    (tmp_path / "site_of_ours.py").write_text(
        "from dcache_manager.discovery.answer import Found\n"
        "class Ours:\n"
        "    def __init__(self, rest): self.rest = rest\n"
        "    def read(self): return [Found(self.rest, 'a')]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert list(source("ours:10.0.0.1").read()) == [Found("10.0.0.1:11211", "a")]
        with pytest.raises(ConfigurationError, match="'broken' .site_of_ours:Nothing."):
            source("broken:1")
    finally:
        sys.modules.pop("site_of_ours", None)


def test_without_dnspython(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that needs what is not installed says what to install."""
    monkeypatch.setitem(sys.modules, "dcache_manager.discovery.dns", None)
    with pytest.raises(ConfigurationError, match=r"django-dcache\[discovery\]"):
        source("srv:cache.test")
