"""Images as observations with their noise: likelihood, ascent, refinement."""
