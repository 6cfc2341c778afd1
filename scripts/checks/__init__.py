"""Checks of the source that `make check` runs and that no tool at hand makes."""
