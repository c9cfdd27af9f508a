"""Files of other programs, turned into experiments."""
