"""What disturbs the crystal: dislocations and their displacement gradients."""
