"""Its being here lets every test import the modules beside it, such as `bliss_files`."""
