"""Clients of model servers: one way to ask, whatever the server's wire form."""
