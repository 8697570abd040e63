"""Memory adapters: embeddings and long-term storage."""
