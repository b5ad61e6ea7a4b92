"""`python -m provenance.cli` is `provenance`."""

from provenance.cli import main

main(prog_name="provenance")
