"""Timers, alarms and reminders: what comes due, and what rings until somebody answers."""
