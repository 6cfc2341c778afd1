"""The server: processes, sockets and the rules of the game."""
