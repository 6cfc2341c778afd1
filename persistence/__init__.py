"""Where state lives: Redis (live), PostgreSQL (durable), and the ways between them."""
