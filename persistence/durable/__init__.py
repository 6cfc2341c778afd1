"""Durable state: PostgreSQL."""
