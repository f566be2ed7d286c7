"""What docs/explanation/architecture.md and the comments of the code claim."""

import ast
import re
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader

import pytest

from support.checkout import CHECKOUT

PAGE = (CHECKOUT / "docs/explanation/architecture.md").read_text()
ROW = re.compile(r"^\| [^|]+ \| `([\w/]+\.py)` `([\w.]+)` \| `(.+)` \|$", re.MULTILINE)
SOURCES = {
    file.relative_to(CHECKOUT): file.read_text()
    for folder in ("django_dcache", "manager/dcache_manager")
    for file in sorted((CHECKOUT / folder).rglob("*.py"))
}
CITATION = re.compile(r"docs/[\w/-]+\.(?:md|svg)(?:#[\w-]+)?|docs/adr/\d{4}")


def script(name):
    """A script of the repository, as a module."""
    loader = SourceFileLoader(name.replace("-", "_"), str(CHECKOUT / "script" / name))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def source_of(text, qualified_name):
    """The source of a function or class in a module, by its name within it."""
    found = ast.parse(text)
    for part in qualified_name.split("."):
        found = next(node for node in found.body if getattr(node, "name", None) == part)
    return ast.get_source_segment(text, found)


def test_picture_is_the_code():
    """docs/architecture.svg is what script/architecture-picture makes of the code; run it again after a change."""
    made = subprocess.run(
        [sys.executable, CHECKOUT / "script/architecture-picture"], stdout=subprocess.PIPE, check=True
    )
    assert (CHECKOUT / "docs/architecture.svg").read_bytes() == made.stdout


def test_road_is_in_the_code():
    """Every step of an operation's road lies in the layers, and is imported by a step before it."""
    picture = script("architecture-picture")
    imports = picture.imports("django_dcache")
    for number, step in enumerate(picture.ROAD[1:], 1):
        assert any(step in imports[before] for before in picture.ROAD[:number]), step


def test_there_are_decisions():
    """The page has a table of decisions."""
    assert len(ROW.findall(PAGE)) >= 15


@pytest.mark.parametrize(("file", "name", "expression"), ROW.findall(PAGE))
def test_a_decision_is_written_once(file, name, expression):
    """The decisive expression of a decision stands in the function that the page names, and nowhere else."""
    found = source_of((CHECKOUT / file).read_text(), name)
    assert expression in found
    assert sum(text.count(expression) for text in SOURCES.values()) == 1


def test_comments_cite_pages():
    """Every page of the documentation that the code cites is there, with the heading that is cited."""
    broken = []
    for file, text in SOURCES.items():
        for citation in CITATION.findall(text):
            path, _, heading = citation.partition("#")
            pages = list(CHECKOUT.glob(path if "." in path else f"{path}-*.md"))
            headings = re.findall(r"^#+ (.*)$", pages[0].read_text(), re.MULTILINE) if pages else []
            anchors = {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}
            if not pages or (heading and heading not in anchors):
                broken.append(f"{file}: {citation}")
    assert not broken
