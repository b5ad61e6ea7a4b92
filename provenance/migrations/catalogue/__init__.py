"""Forms of `catalogue.SCHEMA`."""
