"""The starter model: a very small language model that this project makes itself, from generated data to GGUF."""
