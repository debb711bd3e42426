"""`make doctor`: gather facts from every part of a stack at once, then judge them one check at a time."""
