"""Seeing: a camera's pictures, what is in them, and how that is said."""
