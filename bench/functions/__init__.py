"""Functions as the local mapping finds them: a folder with an ``app`` each."""
