"""Headers at random, each held against an independent reader of its format.

``python -m tests.fuzz --cases 10000`` reads ten thousand files, ``--only nifti:17`` one again.
A case is a format and a number, which together decide every byte of its file.
"""
