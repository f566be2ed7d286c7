"""Which nodes a fleet should have, as something outside of it says: a file, a name server, a cloud's own endpoint."""
