"""What is said first on every connection: a server that can't be used says so before anything is at stake.

`mn` changes nothing and takes no argument. A memcached that has no room for another connection, wants a login, or is
too old for meta commands answers with an error line, and one that hangs with nothing.
"""

QUESTION = b"mn\r\n"
ANSWER = b"MN\r\n"
