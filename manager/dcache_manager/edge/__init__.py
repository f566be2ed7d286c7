"""Edges that are purged by tag: `adapters` tell them, `purging` says when, by the log of invalidations."""
