"""Faults at random moments under a running game, and proof that every answered request counts once."""
