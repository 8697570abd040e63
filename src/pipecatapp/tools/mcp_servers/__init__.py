"""Servers of the Model Context Protocol: each becomes tools named ``<server>.<tool>`` (docs/howto/mcp.md)."""
