"""What is read out of images: moments and maps."""
