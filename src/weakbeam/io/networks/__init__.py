"""Networks of dislocations that other programs have computed: a reader for each format."""
