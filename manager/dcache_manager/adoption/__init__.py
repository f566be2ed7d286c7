"""Taking over the nodes of a site that has another backend: what to write, and the end of the time beside it."""
