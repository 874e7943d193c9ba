"""The synchronous driver."""
