"""What the beam meets: source, objective, camera, goniometer."""
