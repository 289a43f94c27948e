"""app.yml and its frozen schema. May import every room below for its rule classes."""
