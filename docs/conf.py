"""How Sphinx builds the documentation: `sphinx-build docs BUILD`, with the extra `docs` installed.

The pages are Markdown that reads well in the repository too, so what only Sphinx needs is made here: the table of
contents is that of index.md, and links to files that are not pages lead to the repository.
"""

import re
import sys
from pathlib import Path, PurePosixPath

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS.parent / "manager")]

import django  # noqa: E402
from django.conf import settings  # noqa: E402

import django_dcache  # noqa: E402

settings.configure(INSTALLED_APPS=["dcache_manager"])
django.setup()

project = "django-dcache"
author = "The django-dcache maintainers"
version = release = django_dcache.__version__
REPOSITORY = "https://github.com/django-dcache/django-dcache"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"django-dcache {version}"
html_theme_options = {
    "source_repository": REPOSITORY,
    "source_branch": "main",
    "source_directory": "docs/",
}
default_role = "code"  # docstrings mark code by single backticks
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
suppress_warnings = ["misc.highlighting_failure"]  # an ellipsis stands where output is left out


def read(app, docname, source):
    """What Sphinx reads instead of a page."""
    source[0] = re.sub(r"\]\(([^)\s:#]+)(#[^)\s]*)?\)", lambda link: _outside(docname, link), source[0])
    if docname == "index":
        source[0] += "\n".join(_contents(source[0]))


def _outside(docname, link):
    """A link to a file of the repository that is not part of the documentation leads to the repository."""
    target = (DOCS / docname).parent / link[1]
    try:
        path = target.resolve().relative_to(DOCS.parent.resolve())
    except ValueError:
        return link[0]
    if path.parts[:1] == ("docs",):
        return link[0]
    return f"]({REPOSITORY}/blob/main/{PurePosixPath(path)}{link[2] or ''})"


def _contents(index):
    """A hidden table of contents for each part of index.md: a line of bold text, and the pages linked below it."""
    for part in re.split(r"^(?=\*\*)", index, flags=re.MULTILINE)[1:]:
        (caption,) = re.findall(r"\A\*\*(.+?)\.?\*\*", part)
        pages = [page for page in re.findall(r"\]\(([^)\s:#]+)\.md\)", part) if not page.startswith("..")]
        if pages:
            yield "\n".join(["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```", ""])


def setup(app):
    app.connect("source-read", read)
