"""A scripted Kubernetes API server: small, honest about versions and conflicts, unfair on demand."""
