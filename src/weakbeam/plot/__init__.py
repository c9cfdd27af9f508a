"""One file per kind of figure; pure functions from arrays to a matplotlib Figure."""
