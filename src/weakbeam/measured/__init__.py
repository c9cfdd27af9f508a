"""Maps and pictures of scans from files, ours or a beamline's."""
