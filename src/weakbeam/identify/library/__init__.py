"""Candidates, their images, and training sets."""
