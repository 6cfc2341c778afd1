"""The server as an attacker meets it."""
