"""From reciprocal space to images: rays, scans and the engines."""
