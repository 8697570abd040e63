"""The brain: prompt, tool loop, conversation. Plain asyncio; knows only ports."""
