"""Build and run the containers on a machine without a registry of images: `make containers`."""
