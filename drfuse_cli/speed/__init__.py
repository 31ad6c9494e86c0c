"""How fast fusing is here, where the time goes, and what the hardware could do."""
