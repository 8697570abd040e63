"""Which expert a request is for, in clear cases."""
