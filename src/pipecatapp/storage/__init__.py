"""Everything that lies on the disk."""
