"""What an operator sees and changes of one player: `python -m scripts.player WHO COMMAND`."""
