"""Django's system checks: what is wrong with CACHES is said at once, alias by alias, and none of it is a traceback."""

import ssl

import pytest
from django.test import override_settings

from django_dcache.checks import messages, production
from django_dcache.checks.entry import entries_of

OURS = "django_dcache.backend.DistributedCache"
TWO = ["10.0.0.1", "10.0.0.2"]


def caches(*entries):
    """CACHES of these entries, named as the alphabet goes."""
    return {chr(97 + n): {"BACKEND": OURS, "LOCATION": TWO} | entry for n, entry in enumerate(entries)}


def options(**given):
    return {"OPTIONS": given}


def broken_key(key, prefix, version):
    raise LookupError("no tenant")


def spelled(key, prefix, version):
    return key


ONE_ALIAS = [
    ("E001", options(replica=2), "no 'replica'", "Did you mean 'replicas'"),
    ("E001", options(xyzzy=2), "no 'xyzzy'", "Known are"),
    ("E002", options(no_delay=True), "no 'no_delay'", "the pool does that"),
    ("E002", options(use_pooling=True), "use_pooling", "Remove it"),
    ("E002", options(ignore_exc=True), "ignore_exc", "a failure is a miss"),
    ("E002", options(behaviors={"ketama": True}), "behaviors", "Remove it"),
    ("E002", options(binary=True), "binary", "Remove it"),
    ("E002", options(CLIENT_CLASS="django_redis.client.DefaultClient"), "CLIENT_CLASS", "one client"),
    ("E002", options(CONNECTION_POOL_KWARGS={}), "CONNECTION_POOL_KWARGS", "max_connections"),
    ("E002", options(TIMEOUT=300), "no 'TIMEOUT'", "beside OPTIONS"),
    ("E002", options(number_of_replicas=1), "number_of_replicas", "'replicas'"),
    ("E003", options(replicas="2"), "replicas is '2'", "default, 1"),
    ("E003", options(on_error="ignore"), "miss, raise", "default, 'miss'"),
    ("E003", options(serializer="no.such"), "no.such", "default, 'pickle'"),
    ("E003", options(read_unsigned=True), "read_unsigned", "default, False"),
    ("E003", options(timeout=1, TIMEOUT_=1, REPLICAS=2, replicas=2), "'replicas' twice", "dictionary"),
    ("E003", {"OPTIONS": ["replicas"]}, "OPTIONS is list", "dictionary"),
    ("E003", options(fleet="a b"), "fleet name 'a b'", "default, ''"),
    ("E004", {"LOCATION": None}, "want a string or a list", "environment variable"),
    ("E004", {"LOCATION": ""}, "at least one node", "environment variable"),
    ("E004", {"LOCATION": "http://10.0.0.1:6379/0"}, "no address", "redis://host"),
    ("E004", {"LOCATION": "10.0.0.1:11211 10.0.0.2:11211"}, "is no address", "comma"),
    ("E004", {"LOCATION": [{"host": "10.0.0.1", "port": 11211}]}, "unknown host, port", '"address"'),
    ("E004", {"LOCATION": ["10.0.0.1", "10.0.0.1"]}, "share the name", "An entry is"),
    ("E004", {"LOCATION": [{"address": "a", "weight": 0}]}, "weight 0", "An entry is"),
    ("E006", {"KEY_PREFIX": "my shop"}, "no key is legal with the KEY_PREFIX 'my shop'", "no spaces"),
    ("E006", {"KEY_PREFIX": "x" * 250}, "no key is legal", "250 bytes"),
    ("E006", {"KEY_FUNCTION": broken_key}, "LookupError: no tenant", "returns text"),
    ("E007", {"REPLICAS": 2}, "'REPLICAS' has no effect beside OPTIONS", "'replicas'"),
    ("E007", {"fleet": "shop"}, "'fleet' has no effect", "OPTIONS"),
    ("W001", options(replicas=5), "replicas is 5, but LOCATION names 2 node", "'replicas': 2"),
    ("W002", options(timeout=250), "timeout is 250 seconds", "250 milliseconds are 0.25"),
    ("W002", options(freshness=1000), "freshness is 1000", "are 1."),
    ("W003", options(zone="a"), "no node is in the zone of this process, 'a'", "LOCATION"),
    ("W003", {"LOCATION": [{"address": "a", "zone": "b"}], **options(zone="a")}, "zone", "zones are b"),
    ("W005", options(eject_after=0), "lost node", "'replicas': 2"),
    ("W007", options(timeout=2, freshness=1.5), "timeout is 2 seconds and freshness 1.5", "below 1.5"),
    ("W008", {"PREFIX": "shop"}, "'PREFIX' has no effect", "Did you mean 'KEY_PREFIX'"),
]
TWO_ALIASES = [
    ("E005", [{}, {"LOCATION": TWO[1:], "KEY_PREFIX": "b"}], "10.0.0.2:11211 in common", "same LOCATION"),
    ("E005", [{}, {"KEY_PREFIX": "b", **options(replicas=2)}], "differ in replicas: 'a' 1, 'b' 2", "Say the same"),
    ("W004", [{}, {}], "shares its keys with cache 'b'", "KEY_PREFIX of its own"),
    ("W004", [{"KEY_PREFIX": "s"}, {"KEY_PREFIX": "s:1"}], "begin with 's:1:'", "KEY_PREFIX of its own"),
    ("W004", [{"KEY_FUNCTION": spelled}, {"KEY_PREFIX": "b"}], "shares its keys with cache 'b'", "KEY_PREFIX"),
    ("W004", [options(fleet="x"), {"LOCATION": TWO[1:], **options(fleet="y")}], "shares its keys", "KEY_PREFIX"),
    ("W006", [{}, {"KEY_PREFIX": "b", **options(freshness=2)}], "freshness is 1.0, and 2 in cache 'b'", "the same"),
]
CASES = [(identity, [entry], *words) for identity, entry, *words in ONE_ALIAS] + TWO_ALIASES


@pytest.mark.parametrize(("identity", "entries", "said", "hint"), CASES)
def test_each_mistake(identity, entries, said, hint):
    """Each mistake is one message, which names the alias, says what is wrong, and hints at what to write instead."""
    found = [message for message in messages(caches(*entries)) if message.id == f"dcache.{identity}"]
    assert len(found) == 1
    assert "'a'" in found[0].msg and said in found[0].msg and hint in found[0].hint


def test_nothing_else_is_said():
    """A mistake brings no second message, but for an option that can't be known and has a value as well."""
    for identity, entries, *_ in CASES:
        found = [message.id for message in messages(caches(*entries))]
        expected = {f"dcache.{identity}"} | ({"dcache.E001"} if "TIMEOUT_" in str(entries) else set())
        assert set(found) <= expected, (entries, found)


def test_all_at_once():
    """Each wrong option of each alias is named in one run; what is wrong with one hides nothing of the others."""
    found = messages(
        caches(
            options(no_delay=True, ignore_exc=True, replica=2, timeout="1", replicas=0),
            {"LOCATION": "http://x", "KEY_PREFIX": "a b"},
            {"REPLICAS": 2, "KEY_PREFIX": "c"},
        )
    )
    said = sorted((message.msg.partition("'")[2][0], message.id.partition(".")[2]) for message in found)
    assert said == [
        *[("a", "E001"), ("a", "E002"), ("a", "E002"), ("a", "E003"), ("a", "E003")],
        *[("b", "E004"), ("b", "E006"), ("c", "E007")],
    ]


def test_options_that_go_together():
    """An option is judged beside the ones that are well, and not beside a broken one."""
    found = messages(caches(options(sign_values=True, secret="s", read_unsigned=True, replicas=0)))
    assert [message.msg for message in found] == ["Cache 'a': replicas is 0, want a whole number from 1 to 9."]


def test_upper_case():
    """OPTIONS in upper case, as django-environ makes them of an address, are taken as they are meant."""
    assert messages(caches(options(REPLICAS=2, ON_ERROR="raise", MAX_ENTRIES=5), {"LOCATION": "c"})) == []


def test_what_is_well():
    """A sound configuration, and one of another backend, bring no message."""
    other = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://10.0.0.1"}
    named = [{"address": "10.0.0.3", "name": "c", "zone": "a"}, {"address": "10.0.0.4", "name": "d", "zone": "b"}]
    entry = {"LOCATION": named, "KEY_PREFIX": "shop", "TIMEOUT": 60, "VERSION": 2, **options(zone="a", replicas=2)}
    assert messages(caches(entry, {"LOCATION": TWO[:1]}) | {"other": other}) == []


def deployed(entry):
    return [message.id for message in production.messages(entries_of(caches(entry)))]


def test_public_addresses():
    """In production an address that the internet reaches needs TLS. A private one, a name and a socket do not."""
    for location in ("8.8.8.8", "[2001:4860:4860::8888]:11211"):
        assert deployed({"LOCATION": location}) == ["dcache.W020"]
        assert deployed({"LOCATION": location, **options(tls=ssl.create_default_context())}) == []
    assert deployed({"LOCATION": ["10.0.0.1", "cache-1", "unix:/run/m.sock", "[::1]:11211", "127.0.0.1"]}) == []


@pytest.mark.parametrize(("engine", "found"), [("cache", ["dcache.W022"]), ("cached_db", []), ("db", [])])
def test_sessions(engine, found):
    """In production Django's engine for sessions in this cache is named; not where another alias has them."""
    with override_settings(SESSION_ENGINE=f"django.contrib.sessions.backends.{engine}", SESSION_CACHE_ALIAS="a"):
        assert deployed({}) == found
        with override_settings(SESSION_CACHE_ALIAS="other"):
            assert deployed({}) == []


@pytest.mark.parametrize("engine", [*production.CACHED[1:], "django.contrib.sessions.backends.db"])
def test_sessions_among_other_keys(engine):
    """In production sessions in the alias "default" are named; none in an alias of their own, on the same nodes."""
    both = {"default": caches({})["a"], "sessions": caches({"KEY_PREFIX": "sessions"})["a"]}
    for alias, expected in (("default", ["dcache.W023"] if engine in production.CACHED else []), ("sessions", [])):
        with override_settings(SESSION_ENGINE=engine, SESSION_CACHE_ALIAS=alias):
            assert [message.id for message in production.messages(entries_of(both))] == expected
    assert messages(both) == []


@pytest.mark.parametrize(
    ("version", "told"),
    [((5, 2, 18), True), ((5, 2, 19), False), ((6, 0, 9), True), ((6, 1, 3), False), ((6, 2, 0), False)],
)
def test_patched_django(version, told):
    """In production a release of Django without the fix of cached pages is named, and so is the one that has it."""
    found = production.outdated((*version, "final", 0))
    assert bool(found) is told and all("Upgrade Django to" in message.hint for message in found)
