"""Flows of a few rounds, and nodes that answer them by a script."""

from django_dcache.commands import Get

K = b"k"


def hit(command, number):
    return b"VA 1 f16 O%d\r\nx\r\n" % number


def silent(command, number):
    return None


def steps(*several):
    """A flow of these steps; its result is what came of them."""

    def flow(view):
        answers = []
        for step in several:
            answers.append((yield step))
        return answers

    return flow


def ask(kind=dict, node="n", name=K):
    """A round of one read."""
    return kind({node: [Get(name)]})


def leases(command, number):
    """A node that has nothing and gives everybody a lease."""
    if b" N" in command:
        return b"VA 0 c7 f0 O%d W\r\n\r\n" % number
    return (b"EN O%d\r\n" if command.startswith(b"mg") else b"HD O%d\r\n") % number
