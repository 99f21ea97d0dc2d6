"""Weights as evidence.

sample       a seeded sample of the weights of victim, references and their public base
grain        what storing a model does to its weights
descent      whether weights moved from the public base as the victim's did
"""
