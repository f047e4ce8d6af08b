"""Where the policies lie that come with the product."""

from pathlib import Path

SHIPPED = Path(__file__).parent / "policies"
