"""Two ways of speaking with a caller, both thin: what a provider sends becomes `Heard`, and `Say` what it expects."""
