"""The tables of models.py."""
