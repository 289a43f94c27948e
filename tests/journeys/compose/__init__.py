"""Containers without an engine: what docker-compose.yml and the Dockerfile say, done with namespaces of this machine."""
