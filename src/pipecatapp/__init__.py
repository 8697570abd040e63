"""A private voice assistant for old PCs: one brain, one PC or many (see docs/ARCHITECTURE.md)."""

__version__ = "0.2.0"
