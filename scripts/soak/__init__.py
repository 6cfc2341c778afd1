"""Plays for a long time, with everything that real clients and hostile ones do, and watches what grows."""
