"""The tools, each an adapter of ports.Tool, and their registry."""
