"""`python -m provenance.cli.sparing` is `provenance`, with as little memory as it can be done (`thrift`)."""

from provenance.cli import main, thrift

thrift.begin()
main(prog_name="provenance")
