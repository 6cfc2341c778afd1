"""`python -m scripts.top`: what running servers are doing, live in a terminal."""
