"""What the nodes of a fleet say of themselves, and what is wrong with it."""
