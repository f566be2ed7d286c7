"""What is wrong with a fleet, or will be, and what to do about it."""
