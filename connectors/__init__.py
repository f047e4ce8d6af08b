"""The outside world: clock, channels, claims, OMS, evidence, register."""
