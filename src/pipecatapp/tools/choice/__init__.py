"""The tools that fit a request, found among hundreds in a few milliseconds: words, their meaning, everyday speech."""
