"""Runs one expert on one machine or several: chooses engine and model, starts, watches and ends all of it together."""
