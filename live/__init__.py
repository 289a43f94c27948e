"""The trading services. Imports anything below but registry.store; they start with the live extra alone."""
