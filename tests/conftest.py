"""Its being here lets every test import the modules beside it, such as `bliss_files`."""

import os
import signal

# What runs in the background of a shell ignores interrupts, and so would the programs that tests
# start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests run side by side, and the products in them are small: threads of BLAS, which read this where
# numpy is first imported, would wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
