"""Puts experts to sleep that nobody talks to, and wakes them without losing the request that came meanwhile.

A program of its own, beside the agent and without any of its code: it runs all the time, so that it is small (the
standard library alone), and it holds rights that the agent shall not have.
"""
