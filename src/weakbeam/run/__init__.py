"""An experiment simulated: in memory, into a folder, with its maps and figures."""
