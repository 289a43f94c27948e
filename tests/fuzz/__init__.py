"""Fuzzing of everything that reads bytes from outside: `make fuzz`, and a small part of it in the suite."""
