"""Objectives: small pure pieces, and the methods composed of them."""
