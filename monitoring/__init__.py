"""Every metric, declared once. The only importer of prometheus_client."""
