"""Which dislocation an image shows: libraries of candidates, their ranking, and its confidence."""
