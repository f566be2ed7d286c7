"""Connections that never came to be."""

from django_dcache.transport.connection import Connection


def test_a_connection_broken_off_in_the_making_ends_in_silence():
    """What an interrupt left half made has nothing to close, and says nothing when it is collected."""
    Connection.__new__(Connection).__del__()
