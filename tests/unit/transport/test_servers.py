"""Which servers answer at one address, by the marks that they show."""

from django_dcache.transport.servers import ALIKE, REMEMBERED, Marks, Met


def shown(*marks, each=1.0):
    """What each of these marks means, found one after the other by greetings that last for half of the time between."""
    kept = Marks()
    return kept, [kept.found(mark, number * each, number * each + each / 2) for number, mark in enumerate(marks)]


def test_one_server():
    """A server that always shows the same mark is one, whether or not it can always be asked for it."""
    assert shown("a", "", "a", "a")[1] == [Met.SAME] * 4
    assert shown("", "a", "")[1] == [Met.SAME] * 3


def test_a_restart():
    """A server that restarts shows another mark each time, and never an old one."""
    assert shown("a", "b", "b", "c")[1] == [Met.SAME, Met.ANOTHER, Met.SAME, Met.ANOTHER]


def test_several():
    """A mark that comes again after another one is that of one of several servers, and no later one is trusted."""
    assert shown("a", "b", "a", "a", "b", "c", "")[1] == [Met.SAME, Met.ANOTHER, *[Met.SEVERAL] * 5]


def test_an_answer_from_before():
    """What was asked before another server was found says nothing: it may have been answered before, too."""
    marks = Marks()
    assert marks.found("a", 1.0, 1.1) is Met.SAME
    assert marks.found("b", 1.2, 1.5) is Met.ANOTHER
    assert marks.found("a", 1.3, 1.6) is Met.EARLIER
    assert marks.found("b", 1.7, 1.8) is Met.SAME
    assert marks.found("a", 1.9, 2.0) is Met.SEVERAL


def test_one_again():
    """An address that led to several servers is trusted after many connections that led to one, and is one then."""
    marks, met = shown("a", "b", "a", *["a"] * (ALIKE - 1), "b", *["b"] * (ALIKE + 1))
    assert [number for number, one in enumerate(met) if one is not Met.SEVERAL] == [
        0,
        1,
        3 + 2 * ALIKE - 1,
        len(met) - 1,
    ]
    assert met[-2:] == [Met.ONE_AGAIN, Met.SAME]
    assert marks.found("a", 1000.0, 1001.0) is Met.SEVERAL


def test_few_are_remembered():
    """A server that restarts all the time takes no more room than a few marks."""
    marks, _ = shown(*map(str, range(1000)))
    assert len(marks._replaced) == REMEMBERED
