"""WebSocket connections, the dispatch of their messages, and the hub."""
