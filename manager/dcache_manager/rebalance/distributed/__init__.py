"""A rebalance led and carried out by Celery workers."""
