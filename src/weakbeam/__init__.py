"""weakbeam: a geometrical-optics forward model of dark-field X-ray microscopy."""

__version__ = "0.1.0"
