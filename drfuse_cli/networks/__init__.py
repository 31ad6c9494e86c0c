"""The fusion networks."""
