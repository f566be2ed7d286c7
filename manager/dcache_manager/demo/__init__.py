"""A site, its fleet and load, resized while you watch.

site            the example shop, served by gunicorn
edge            Varnish before it, where there is one
load            one load process, run as a program
load_counters   what the load processes know and count, in memory that all of them share
environment     all of these, started and ended
operator        dcache-admin beside the site, as an operator runs it
scenario        what happens: a node joins, one dies and comes back
results         what was seen, and which promise it breaks
narration       what is printed meanwhile; `report` prints the end
"""
