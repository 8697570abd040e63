"""The routes of Mission Control, one module per concern."""
