"""Put into PYTHONPATH by tests; see sitecustomize."""
