"""The mind in words: prompt, model, tool loop."""
