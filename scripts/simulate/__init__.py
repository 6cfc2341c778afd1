"""The simulator of the game's pacing."""
