"""Matching with what is not known exactly fitted along: windows, light and its nuisances."""
