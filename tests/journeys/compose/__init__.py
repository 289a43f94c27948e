"""Containers without an engine: the compose file and the Dockerfile, done with namespaces of this machine."""
