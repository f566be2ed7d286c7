"""The log of invalidations that every region follows."""
