"""The microscope in the browser: what it shows (`session`), and the only sockets (`server`)."""
