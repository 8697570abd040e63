"""Scripted stand-ins for what is outside the house: a model server, a person. Never for a part of our own."""
