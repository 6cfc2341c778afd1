"""The Python library. It is installed as `clickcook`; this project imports it from where it lies."""
