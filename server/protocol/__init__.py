"""The wire contract, pure: messages, what a connection may do now, close codes."""
