"""What the documentation says: its commands are run, its settings used, its links followed, its figures drawn anew."""

import ast
import doctest
import re
import subprocess
import sys
from configparser import ConfigParser
from urllib.parse import urlsplit

import pytest

from dcache_manager.adoption.plan import plan
from django_dcache import conf
from django_dcache.foreign_options import advice
from django_dcache.testing import LocalFleet
from support.checkout import CHECKOUT
from support.method_cases import CASES
from support.transcripts import Shell, blocks, steps

PAGES = sorted(
    str(page.relative_to(CHECKOUT))
    for page in [*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md"), CHECKOUT / "example_project/README.md"]
)
REPOSITORY = "https://github.com/django-dcache/django-dcache/blob/main/"
FOLDERS = (
    *("benchmarks", "django_dcache", "docs", "drill", "example_project", "manager", "script", "speed", "tests"),
    *("dcache_drill", "dcache_manager", "engines", "flows", "model", "runtime", "snapshot", "transport"),
)
MADE = {
    "docs/ring.svg": "script/ring-picture",
    "docs/reference/errors.md": "script/errors-reference",
    "docs/reference/settings.md": "script/settings-reference",
    "docs/reference/states.md": "script/states-reference",
}
PROJECT = """
SECRET_KEY = "tests"
# The addresses in the documentation are other people's.
NODES = {addresses!r}
CACHES = {{
    "default": {{
        "BACKEND": "django_dcache.backend.DistributedCache",
        "LOCATION": [f"10.0.0.{{number}}" for number in range(1, {count} + 1)],
        "OPTIONS": {{"address_remap": NODES.get, "freshness": 0.05}},
    }}
}}
"""


def anchors(page):
    """What a link into a page may name: its headings, as they are made into names."""
    headings = re.findall(r"^#+ (.*)$", (CHECKOUT / page).read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    """Every link to a file of the repository leads to one, and every link to a heading to a heading."""
    broken = []
    text = (CHECKOUT / page).read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"^\[[^\]]+\]: (\S+)$", text, re.MULTILINE):
        # The README links to the repository by its address: an index of packages shows it without the other files.
        here, _, inside = target.rpartition(REPOSITORY)
        scheme, _, path, _, heading = urlsplit(inside)
        found = (CHECKOUT if here or inside != target else (CHECKOUT / page).parent) / path if path else CHECKOUT / page
        if not scheme and (not found.exists() or (heading and heading not in anchors(found))):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page not in ("docs/reference/cli.md", "docs/reference/errors.md")]
)
def test_sentences_have_actors(page):
    """The pages name who acts: client, worker, node, conductor, operator."""
    vague = r"\b(whoever|nobody|somebody|everybody|so many|stands on|goes on|is said|are said)\b"
    assert not re.findall(f"^.*{vague}.*$", (CHECKOUT / page).read_text(), re.MULTILINE | re.IGNORECASE)


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/") and page != "docs/index.md"])
def test_every_page_can_be_found(page):
    """The index of the documentation links to every page."""
    assert f"({page.removeprefix('docs/')})" in (CHECKOUT / "docs/index.md").read_text()


def test_decisions_are_numbered():
    """Every decision has a number of its own, and none is left out."""
    numbers = sorted(int(page.name[:4]) for page in CHECKOUT.glob("docs/adr/*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("made", MADE)
def test_made_pages(made):
    """What a script makes of the code is what it would make today; run it again after a change."""
    run = subprocess.run([sys.executable, CHECKOUT / MADE[made]], stdout=subprocess.PIPE, check=True)
    assert run.stdout == (CHECKOUT / made).read_bytes()


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "pycon")])
def test_sessions(page):
    """Python sessions say what Python says."""
    assert doctest.testfile(str(CHECKOUT / page), module_relative=False).failed == 0


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any("CACHES = {" in code for code in blocks(page, "python"))]
)
def test_settings_are_settings(page):
    """Every CACHES entry for this backend that the documentation shows is one that it takes."""
    for code in filter(re.compile("CACHES = {").search, blocks(page, "python")):
        names = {}
        exec(code.replace('os.environ["DCACHE_NODES"]', '"cache-1,cache-2"'), names)
        for entry in names.get("CACHES", {}).values():
            conf.parse("default", entry["LOCATION"], entry.get("OPTIONS"))


SOURCES = [
    file.read_text()
    for folder in ("django_dcache", "manager/dcache_manager")
    for file in (CHECKOUT / folder).rglob("*.py")
]


def test_every_log_line_is_explained():
    """The page on monitoring explains every action that a log record names, and the reference lists it; no other."""
    actions = {action for source in SOURCES for action in re.findall(r'"action": "(\w+)"', source)}
    for page in ("docs/howto/monitor.md", "docs/reference/logging.md"):
        rows = re.findall(r"^\| `(\w+)` \|(?:[^|]*\|){3}$", (CHECKOUT / page).read_text(), re.MULTILINE)
        assert set(rows) == actions, page


def test_every_log_record_has_an_action():
    """No line is logged without an action by which it can be found."""
    calls = [
        ast.unparse(node)
        for source in SOURCES
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and re.match(r"log\.(debug|info|warning|error|exception)\(", ast.unparse(node))
    ]
    assert calls and [call for call in calls if "extra=" not in call] == []


def test_log_attributes():
    """The reference names the attributes that a record of each action has, and no other."""
    page = (CHECKOUT / "docs/reference/logging.md").read_text()
    for action, said in re.findall(r"^\| `(\w+)` \|[^|]*\|[^|]*\|([^|]*)\|$", page, re.MULTILINE):
        given = [source for source in SOURCES if f'"action": "{action}"' in source]
        dictionaries = [found for source in given for found in re.findall(rf'\{{"action": "{action}"[^}}]*\}}', source)]
        named = {name for found in dictionaries for name in re.findall(r'"(\w+)":', found)} - {"action"}
        assert set(re.findall(r"`(\w+)`", said)) == named, action


def test_every_check_is_listed():
    """The page on system checks lists each identity that a check has, once, and no other."""
    sources = [file.read_text() for file in (CHECKOUT / "django_dcache/checks").glob("*.py")]
    identities = {identity for source in sources for identity in re.findall(r'"(?:dcache\.)?([EW]\d{3})"', source)}
    page = (CHECKOUT / "docs/reference/checks.md").read_text()
    assert sorted(re.findall(r"^\| `dcache\.(\w+)` \|", page, re.MULTILINE)) == sorted(identities)


def test_options_of_other_backends():
    """Of each option in the pages on migration a check says what to do, or it is an option here too."""
    tables = [
        (CHECKOUT / f"docs/howto/from-{backend}.md").read_text().partition("| option |")[2].partition("\n\n")[0]
        for backend in ("pymemcache", "pylibmc", "redis")
    ]
    named = {
        name for table in tables for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    assert {name for name in named if conf.unknown(name.lower()) and not advice(name)} == set()


def test_failures_of_every_method():
    """The settings page says of every method what a failure becomes; tests/conformance/test_roads.py tries it."""
    _, _, part = (CHECKOUT / "docs/reference/settings.md").read_text().partition("### What a failure becomes")
    rows = re.findall(r"^\| (`.+?) \|", part.partition("###")[0], re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted({case.method for case in CASES})


def test_every_error_comes_with_advice():
    """The reference says of every error of the cache what to do about it (ADVICE in script/errors-reference)."""
    core, _, _ = (CHECKOUT / "docs/reference/errors.md").read_text().partition("## The manager")
    assert not re.findall(r"^.*\|\s*\|$", core, re.MULTILINE)


def test_what_is_installed():
    """Whatever the documentation tells to install is this distribution, with extras that it has."""
    setup = ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    wanted = {
        what for page in PAGES for what in re.findall(r"pip install ('[^']+'|[\w-]+)", (CHECKOUT / page).read_text())
    }
    extras = {f"'django-dcache[{name}]'" for name in setup["options.extras_require"]}
    assert "django-dcache" in wanted and wanted <= {"django-dcache", *extras}


def test_readme_names_memcached_first():
    """The first line says memcached: there is a storage system of the same name."""
    assert "memcached" in (CHECKOUT / "README.md").read_text().partition("\n")[0]


def test_readme_commands():
    """The commands in the README are there."""
    commands = [command for command, _ in steps("README.md")]
    assert {"script/demo", "script/test"} <= {command.partition(" ")[0] for command in commands}
    for command in commands:
        assert command.startswith("pip install") or (CHECKOUT / command.partition(" ")[0]).exists()


def test_tutorial(tmp_path):
    """Every command of the tutorial works, in order, and prints what the tutorial says."""
    with Shell(tmp_path, {}) as shell:
        try:
            shell.follow("docs/tutorial.md")
        finally:
            shell.run("dcache-admin local down")


def test_howto_warm(tmp_path):
    """Every command of the how-to on warming works on the warmer that it shows, and prints what it says."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/__init__.py").touch()
    (tmp_path / "shop/models.py").write_text(
        "from django.db import models\n\n\nclass Book(models.Model):\n    title = models.TextField()\n"
    )
    plant = "import django; django.setup(); from shop.models import Book; [Book.objects.create() for _ in range(3)]"
    with LocalFleet(2) as fleet, Shell(tmp_path, {"DJANGO_SETTINGS_MODULE": "project"}) as shell:
        (tmp_path / "project.py").write_text(
            f"""CACHES = {{"default": {{"BACKEND": "django_dcache.backend.DistributedCache",
                                        "LOCATION": {fleet.addresses!r}}}}}
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "site.sqlite3"}}}}
INSTALLED_APPS = ["dcache_manager", "shop"]
"""
        )
        shell.run("export PYTHONPATH=$PYTHONPATH:$PWD; django-admin migrate -v 0 --run-syncdb")
        shell.run(f"python -c '{plant}'")
        shell.follow("docs/howto/warm.md")


def test_howto_test_your_site(tmp_path):
    """The tests that the how-to on testing shows pass in a project that has nothing but them."""
    with Shell(tmp_path, {"DJANGO_SETTINGS_MODULE": "mysite.settings"}) as shell:
        shell.run("django-admin startproject mysite . && mkdir shop && touch shop/__init__.py")
        shell.follow("docs/howto/test-your-site.md")


def test_howto_from_pymemcache(tmp_path):
    """Every command of the how-to works, from the old entry to the end, and prints what the how-to says."""
    old = "django.core.cache.backends.memcached.PyMemcacheCache"
    fill = "from django.core.cache import cache; cache.set_many({f'k{n}': n for n in range(999)})"
    with LocalFleet(3) as fleet, Shell(tmp_path, {"DJANGO_SETTINGS_MODULE": "project"}) as shell:
        entry = {"BACKEND": old, "LOCATION": fleet.addresses}
        project = tmp_path / "project.py"
        project.write_text(f"SECRET_KEY = 'tests'\nCACHES = {{'default': {entry!r}}}\n")
        shell.run(f'python -c "{fill}"')
        (planned, said), *others = steps("docs/howto/from-pymemcache.md")
        shell.check(planned, said)
        new = plan("default", entry).entry
        new["OPTIONS"]["freshness"] = 0.05
        project.write_text(f"SECRET_KEY = 'tests'\nCACHES = {{'default': {new!r}}}\n")
        for command, printed in others:
            shell.check(command, printed)
        count = "print(len(cache.get_many([f'k{n}' for n in range(999)])))"
        assert shell.run(f'python -c "from django.core.cache import cache; {count}"') == ("999\n", 0)


def test_howto_scale_one_redis_out(tmp_path):
    """Every command of the how-to works on a server that django-redis has filled, and no entry is lost."""
    fill = "from django.core.cache import cache; [cache.set(f'k{n}', n) for n in range(999)]"
    with LocalFleet(2, "redis") as fleet, Shell(tmp_path, {"DJANGO_SETTINGS_MODULE": "project"}) as shell:
        entry = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": fleet.addresses[0]}
        project = tmp_path / "project.py"
        project.write_text(f"SECRET_KEY = 'tests'\nCACHES = {{'default': {entry!r}}}\n")
        shell.run(f'python -c "{fill}"')
        new = plan("default", entry).entry
        new["OPTIONS"]["freshness"] = 0.05
        project.write_text(f"SECRET_KEY = 'tests'\nCACHES = {{'default': {new!r}}}\n")
        said, status = shell.run("dcache-admin adopt finish --yes")
        assert status == 0, said
        for command, printed in steps("docs/howto/scale-one-redis-out.md"):
            shell.check(command.replace("redis://10.0.0.2:6379/0", fleet.addresses[1]), printed)
        count = "print(len(cache.get_many([f'k{n}' for n in range(999)])))"
        assert shell.run(f'python -c "from django.core.cache import cache; {count}"') == ("999\n", 0)


@pytest.mark.parametrize(("page", "count"), [("docs/howto/add-a-node.md", 3), ("docs/howto/drain-a-node.md", 4)])
def test_howto(page, count, tmp_path):
    """Every command of a how-to works, in order, and prints what the how-to says."""
    with LocalFleet(4) as fleet:
        addresses = {f"10.0.0.{number}:11211": address for number, address in enumerate(fleet.addresses, 1)}
        (tmp_path / "project.py").write_text(PROJECT.format(addresses=addresses, count=count))
        with Shell(tmp_path, {"DJANGO_SETTINGS_MODULE": "project"}) as shell:
            shell.run(
                "python -c \"from django.core.cache import cache; cache.set_many({f'k{n}': n for n in range(999)})\""
            )
            shell.follow(page)
