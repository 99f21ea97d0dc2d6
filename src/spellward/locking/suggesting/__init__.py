"""What is looked at before anything is trained.

candidates   spells worth looking at
spell_bench  what one spell does to a few images
forecast     what a lock under that spell would reach
"""
