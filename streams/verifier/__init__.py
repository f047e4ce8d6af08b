"""The judge: recomputes what must hold from what is stored, and shares only the schemas with the product."""
