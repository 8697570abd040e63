"""How the reflex is made: wordings by many voices, and the training of its judges. Needs numpy alone."""
