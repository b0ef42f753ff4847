"""Tells whether a stack is well: what is wrong with it, why that matters, and how it is cured.

``local`` and ``aws`` gather facts, ``checks`` judge them and touch nothing, ``report`` prints what
they found, and ``command`` puts these in order. ``declared`` knows what a stage should be. AWS is
asked by ``lambdas``, ``surroundings`` and ``roles`` (with ``rights``, which reads policies).
"""
