"""The tiny HTTP handler."""
