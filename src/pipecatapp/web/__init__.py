"""The HTTP edge: Mission Control, events, the OpenAI-compatible API."""
