"""What is foretold of a request, by what others of its route have read."""

import random

import pytest

from django_dcache.prefetch.learning import (
    AT_LEAST_EVERY,
    IDLE_REQUESTS,
    IF_IT_DOES_NOT_PAY,
    MOST_ROUTES,
    MOST_TEMPLATES,
    THEN_EVERY,
    THEN_ONE_IN,
    WATCHED,
    Attention,
    Learner,
)
from support.request_values import PlainValues


def teach(learner, requests, route="GET product"):
    """Each request: its values, and the keys that it reads one by one; what was fetched before it was foretold."""
    for values, keys in requests:
        if not learner.begins(route)[0]:
            continue
        values = PlainValues(values)
        fetched = dict.fromkeys(learner.foretell(route, values), 100)
        learner.learn(route, values, dict.fromkeys(keys, 1.0), fetched)


def foretold(learner, route="GET product", **values):
    """The keys, in order."""
    return sorted(learner.foretell(route, PlainValues(values)))


def test_keys_of_the_urls_arguments():
    """After requests for some products the keys of another are known, and what all of them read."""
    learner = Learner()
    teach(learner, [({"pk": pk}, [f"product:{pk}", f"stock:{pk}", "banner"]) for pk in "1234"])
    assert foretold(learner, pk="9") == ["banner", "product:9", "stock:9"]


def test_a_coincidence_is_found_out():
    """A number that is the version of all keys is not taken for the URL's for long, nor a popular product for all."""
    learner = Learner()
    pks = ["1", "1", "1", "2", "1", "3", "1", "4", "5", "1", "6", "7", "8", "1", "9"]
    teach(learner, [({"pk": pk}, [f"shop:1:product:{pk}", f"shop:1:stock:{pk}"]) for pk in pks])
    assert foretold(learner, pk="10") == ["shop:1:product:10", "shop:1:stock:10"]


def test_routes_are_apart():
    """What one route reads is not foretold of another."""
    learner = Learner()
    teach(learner, [({}, ["a", "b"])] * 3)
    assert foretold(learner) == ["a", "b"] and foretold(learner, "GET other") == []


def test_a_route_of_one_key_does_not_pay():
    """Where there is one read, there is nothing to save."""
    learner = Learner()
    teach(learner, [({}, ["a"])] * 10)
    assert foretold(learner) == []


def test_keys_of_one_call_are_one_round():
    """A page that reads all of its keys in one call needs no prefetch."""
    learner = Learner()
    for _ in range(10):
        learner.learn("GET product", PlainValues({}), dict.fromkeys("abcde", 0.2), {})
    assert foretold(learner) == []


def test_what_is_written_first_is_not_fetched():
    """A key that a request stores before it reads it would be fetched in vain."""
    learner = Learner()
    for _ in range(5):
        learner.learn("GET product", PlainValues({}), {"a": 1.0, "b": 1.0, "stored": 0.0}, {})
    assert foretold(learner) == ["a", "b"]


def test_keys_that_never_come_again():
    """A route that reads other keys each time has nothing foretold, and what it has read is forgotten."""
    learner = Learner()
    teach(learner, [({}, [f"random:{number}:{n}" for n in range(20)]) for number in range(30)])
    assert foretold(learner) == []
    assert len(learner._routes["GET product"].templates) <= MOST_TEMPLATES


def test_what_requests_do_now_counts():
    """After a deploy that reads other keys, those of before are not fetched any more."""
    learner = Learner()
    teach(learner, [({}, ["old:1", "old:2"])] * 1000)
    teach(learner, [({}, ["new:1", "new:2"])] * 2000)
    assert foretold(learner) == ["new:1", "new:2"]


@pytest.mark.parametrize("seed", range(5))
def test_bytes_in_vain_are_few(seed):
    """Of keys that requests read now and then so many are fetched that at most a fifth of the bytes is in vain, and
    nearly all of those that are always read."""
    luck, learner = random.Random(seed), Learner()
    often = {f"key:{n}": luck.random() ** 0.3 for n in range(20)} | {f"always:{n}": 1.0 for n in range(10)}
    fetched = vain = missed = always = 0
    for number in range(300):
        values = PlainValues({})
        keys = [key for key, part in often.items() if luck.random() < part]
        guess = learner.foretell("GET product", values)
        if number >= 50:
            fetched, vain = fetched + len(guess), vain + len(set(guess) - set(keys))
            always, missed = always + 10, missed + sum(key not in guess for key in keys if often[key] == 1)
        learner.learn("GET product", values, dict.fromkeys(keys, 1.0), dict.fromkeys(guess, 100))
    assert vain <= 0.2 * fetched and missed <= 0.05 * always


def test_memory_is_bounded():
    """As many routes are known as have room: the ones seen last."""
    learner = Learner()
    for number in range(MOST_ROUTES + 10):
        teach(learner, [({}, ["a", "b"])] * 3, f"GET {number}")
    assert len(learner._routes) == MOST_ROUTES and foretold(learner, f"GET {MOST_ROUTES}") == ["a", "b"]


def learned_from(learner, requests, route):
    """How many of these requests were."""
    learned = 0
    for keys in requests:
        if learner.begins(route)[0]:
            learned += 1
            learner.learn(route, PlainValues({}), dict.fromkeys(keys, 1.0), {})
    return learned


def test_few_requests_are_learned_from():
    """Once a route is known ever fewer of its requests are looked at, fewest of one that does not pay; again more of
    one that reads something else than was foretold."""
    learner = Learner()
    pays, pays_not = [learned_from(learner, [keys] * 8000, f"GET {keys}") for keys in ("ab", "a")]
    assert 8000 / AT_LEAST_EVERY <= pays <= 8000 / AT_LEAST_EVERY + WATCHED + 4
    assert pays_not <= 8000 / IF_IT_DOES_NOT_PAY + WATCHED + 8
    assert learned_from(learner, ["ab", "cd", "ef"] * 400, "GET ab") > 1200 / THEN_EVERY / 2


def test_where_nodes_are_near_few_reads_do_not_pay():
    """What a page of two reads saves is less than it costs where a round takes no time, and more where it takes some;
    twenty reads always pay."""
    learner = Learner()
    teach(learner, [({}, ["a", "b"])] * 5, "GET two")
    teach(learner, [({}, list("abcdefghijklmnopqrst"))] * 5, "GET twenty")
    for seconds, pays in ((0.00005, (False, True)), (0.001, (True, True)), (0.00005, (False, True))):
        for _ in range(50):
            learner.took(seconds)
        assert (learner.begins("GET two")[1], learner.begins("GET twenty")[1]) == pays


def test_where_nothing_pays_few_requests_are_looked_at():
    """A process at which no request pays looks at one in a few; after one that paid it looks at all again."""
    attention = Attention()
    assert sum(attention.looks() for _ in range(2 * IDLE_REQUESTS)) == IDLE_REQUESTS + IDLE_REQUESTS / THEN_ONE_IN
    attention.paid()
    assert all(attention.looks() for _ in range(IDLE_REQUESTS))
