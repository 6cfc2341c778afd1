"""The bench: what a click costs, beside an echo and beside a plain stack, on one machine."""
