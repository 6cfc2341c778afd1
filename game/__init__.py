"""The rules of the game, pure: no clock, no socket, no asyncio."""
