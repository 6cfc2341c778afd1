"""Mail to players: what it says, how it waits, how it is sent."""
