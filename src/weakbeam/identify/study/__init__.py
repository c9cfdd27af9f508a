"""How well types can be told apart, and blind trials of the search."""
