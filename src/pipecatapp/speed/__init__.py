"""How fast models are on the PCs of the house: measured once, kept, and forecast for those that nobody measured."""
