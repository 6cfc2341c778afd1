"""What an operator sees of a running server: figures, and how a request went."""
