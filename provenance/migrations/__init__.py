"""How tables of each released form become those of the next: a folder for each `database.Schema`, a file for each form.

A file here is never edited once a release had it: what it makes is what that release had.
"""
