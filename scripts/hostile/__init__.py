"""Clients who know where to push, beside honest players: what it costs those."""
