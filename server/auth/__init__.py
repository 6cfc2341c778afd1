"""Tokens, passwords and the throttle that guards them."""
