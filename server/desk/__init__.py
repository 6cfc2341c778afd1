"""The desk: what operators see and change of players, for the commands and for the pages in a browser."""
