"""Lamella: what to cut, and what the cut holds."""
