"""The import of a file of leads: its rows checked, matched and written in sets.

A *batch* is one import; a *mapping* says how a source's files are read; *terms* say what may be written.
"""
