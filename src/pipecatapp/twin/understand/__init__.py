"""What is wanted? In milliseconds, before any big model."""
