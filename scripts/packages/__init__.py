"""The packages that the locks pin: installing them, and holding the locks against every platform."""
