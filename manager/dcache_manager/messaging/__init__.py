"""Celery: sending tasks by name, and the schedule for beat."""
