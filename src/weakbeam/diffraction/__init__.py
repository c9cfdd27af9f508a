"""From deformation and optics to reciprocal space: reflections, frames, acceptance."""
