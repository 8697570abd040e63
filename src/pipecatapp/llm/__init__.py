"""Chat models: the OpenAI-compatible client, the engine child and where it comes from, the model files."""
