"""The consistency protocol as models: every rule, and each of them broken on purpose."""
