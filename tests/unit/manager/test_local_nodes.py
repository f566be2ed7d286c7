"""Where this user's nodes are written down; tests/acceptance/test_cli.py starts some."""

import pytest

from dcache_manager import local_nodes
from django_dcache.errors import ConfigurationError


def test_a_file_that_is_broken(tmp_path, monkeypatch):
    """A file that can't be read is named, and no node is started or ended by it."""
    monkeypatch.setenv("DCACHE_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "local.json").write_text("[")
    for command in (lambda: local_nodes.up(1, 64), local_nodes.down):
        with pytest.raises(ConfigurationError, match=r"local\.json can't be read"):
            command()
    assert (tmp_path / "local.json").read_text() == "["


def test_a_folder_of_its_own(tmp_path, monkeypatch):
    """The folder for these files is private to this user; one that others can write is refused."""
    monkeypatch.delenv("DCACHE_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert local_nodes.runtime_folder().stat().st_mode & 0o777 == 0o700
    (tmp_path / "dcache").chmod(0o777)
    with pytest.raises(ConfigurationError, match="not private"):
        local_nodes.runtime_folder()
