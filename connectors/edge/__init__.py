"""What customers, apps and providers talk to over HTTP: stateless, and every accepted request is a fact first."""
