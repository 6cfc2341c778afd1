"""The catalogue as data, and the commands that write it to PostgreSQL."""
