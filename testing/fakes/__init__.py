"""Scripted stand-ins for what is outside the house: a model server, a speaker, a person. Never for a part of our own."""
