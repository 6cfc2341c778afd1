"""Holds any server to the contract: a table of what it keeps and what it breaks."""
