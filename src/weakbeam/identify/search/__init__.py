"""Which of many images explains a measured one, and where."""
