"""What a score and an attack's report are made of.

metrics      accuracies with intervals, and what outputs on clean images give away
mask_metrics the same for masks and objects
tasks        which of these a task asks for
score        what the owner gets, what a stranger gets, and what wrong keys get
guesses      wrong keys, for a thief who knows more or less of the right one
honest_use   JPEG, resizing, another precision: the key has to open all the same
attack_target the lock, the base and the images that a thief has
attack_results what attacks gave, as figures
"""
