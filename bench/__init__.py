"""Measurements. They are run by hand (`make bench`), never by the tests: a slow machine is not a fault."""
