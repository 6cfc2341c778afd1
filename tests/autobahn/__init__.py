"""The Autobahn test suite against our own connection."""
