"""What writes the files: one module for each format, ``make(rng, path) -> Draft``."""
