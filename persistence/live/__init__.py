"""Live state: the lane to Redis, its keys, scripts and sessions."""
