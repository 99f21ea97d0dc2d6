"""Attempts to use a locked model without its key."""
