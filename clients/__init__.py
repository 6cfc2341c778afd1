"""Libraries for those who write clients, and what holds them to the contract."""
