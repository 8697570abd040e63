"""What can go wrong."""

from __future__ import annotations


class PowerError(Exception):
    """Root of this package's errors. The message says what, why, and what to do."""


class MonitorError(PowerError):
    """The traffic cannot be measured in the kernel here."""


class ConfigurationError(PowerError):
    """An entry of the configuration or of the policy cannot be used."""


class DriverError(PowerError):
    """What runs the service (systemd, Nomad) or keeps the lock (Consul) did not do what it was asked."""


class BlockedError(DriverError):
    """Not now: a deployment is under way, or another agent holds the lock. Later it may go."""
