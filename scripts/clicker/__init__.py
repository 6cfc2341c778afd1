"""The high-frequency client: a class that others may copy, and a command line around it."""
