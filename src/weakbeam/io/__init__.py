"""Files: the HDF5 layout of a beamline, and provenance."""
