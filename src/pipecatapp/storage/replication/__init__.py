"""The journal of several PCs: one order of events in a stream that most of them have, and one agent that writes."""
