"""The record of every write that ibctl makes, and taking a write back.

A *change set* is what one command wrote; its number is what `ibctl undo` takes. It holds *changes*: one row each, with
the *images* of the row before and after. Undoing a change set puts back, row by row, what was there before it; a row is
then *reversed*, or *kept* (it has been written again since), *blocked* (it counts in a commission that is being paid or
has been), *failed* (the database refuses). An undo is a change set itself, so it can be undone.
"""
