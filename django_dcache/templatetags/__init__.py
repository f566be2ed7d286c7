"""{% load dcache %}."""
