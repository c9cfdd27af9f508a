"""What every room needs and no physics: arrays, compiled loops, random numbers, workers."""
