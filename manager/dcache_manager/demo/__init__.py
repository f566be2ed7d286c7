"""A site, its fleet and load, resized while you look.

site.py     the example shop, served by gunicorn
load.py     one load process, run as a program
board.py    what the load processes know and count, in memory that all of them share
facts.py    what has been seen, and which promise it breaks
stage.py    what the audience sees
play.py     the acts
"""
