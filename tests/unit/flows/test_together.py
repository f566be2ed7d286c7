"""Two flows whose first rounds are one."""

from django_dcache.commands import Answer, Get, Remove, Value
from django_dcache.flows import Learn, Pause, Urgent
from django_dcache.flows.together import together

ONE, TWO, THREE = Get(b"one"), Get(b"two"), Remove(b"three")
A, B, DONE = Value(b"a"), Value(b"b"), Answer.DONE


def asks(*rounds):
    """A flow that yields these, and returns what it was sent."""
    answers = []
    for step in rounds:
        answers.append((yield step))
    return answers


def steps(flow, *answers):
    """The steps of a flow that is sent these, and its result."""
    seen = [next(flow)]
    try:
        for answer in answers:
            seen.append(flow.send(answer))
    except StopIteration as end:
        return seen, end.value
    raise AssertionError(f"it goes on with {seen[-1]}")


def test_one_round():
    """Each node is asked what the first flow asks and then what the second does, and each flow gets its own replies."""
    flow = together(asks({"a": [ONE]}), asks({"a": [TWO, THREE], "b": [THREE]}))
    seen, (first, second) = steps(flow, {"a": [A, B, DONE], "b": [DONE]})
    assert seen == [{"a": [ONE, TWO, THREE], "b": [THREE]}]
    assert (first, second) == ([{"a": [A]}], [{"a": [B, DONE], "b": [DONE]}])


def test_further_rounds():
    """After the first round the first flow goes on alone, and then the second."""
    flow = together(asks({"a": [ONE]}, Pause(1)), asks({"b": [TWO]}, {"b": [THREE]}))
    seen, (first, second) = steps(flow, {"a": [A], "b": [B]}, None, {"b": [DONE]})
    assert seen == [{"a": [ONE], "b": [TWO]}, Pause(1), {"b": [THREE]}]
    assert (first, second) == ([{"a": [A]}, None], [{"b": [B]}, {"b": [DONE]}])


def test_what_is_no_plain_round():
    """A flow that ends at once, or begins with another step or an urgent round, is carried by itself."""
    assert steps(together(asks(), asks({"b": [TWO]})), {"b": [B]}) == ([{"b": [TWO]}], ([], [{"b": [B]}]))
    for step in (Urgent({"a": [ONE]}), Learn(None)):
        seen, _ = steps(together(asks(step), asks({"b": [TWO]})), {"a": [A]}, {"b": [B]})
        assert seen == [step, {"b": [TWO]}]
