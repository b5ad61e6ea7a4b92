"""A force that does not exist: extracts of any size in the form of the contract, the same bytes for the same seed.

    python -m pipeline.sample --records 20000 --weeks 52 --seed 7 OUT

Nothing here is real and nothing is copied from a real list: people, places, records and reasons are drawn from a
seed. What is taken from real sets is their shape (`shapes.py`): how many people a record has, how often a person comes
back, how late a record arrives. It refuses to write into a week's folder that already holds anything.

    words -> chance -> shapes -> plan -> people -> events -> corrections, orders -> weeks -> the door
"""
