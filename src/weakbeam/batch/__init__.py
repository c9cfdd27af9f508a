"""Many experiments: from a manifest to files of images, on one machine or on many."""
