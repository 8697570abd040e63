"""What may be done: tools, a person's yes, the audit log."""
