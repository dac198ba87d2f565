"""Where a registration starts when nothing is known: all rotations and translations, coarsely."""
