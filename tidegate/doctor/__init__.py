"""tidegate doctor: looks at everything that a run needs and changes nothing; each finding names what mends it."""
