"""Celery: publishing tasks, the schedule, a check of the broker."""
