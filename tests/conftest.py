"""Its being here lets every test import the modules beside it, such as `bliss_files`."""

import signal

# What runs in the background of a shell ignores interrupts, and so would the programs that tests
# start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
