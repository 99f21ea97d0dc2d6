"""Locking: recipe.py (what to train on) -> lock.py (do it) -> unlock.py (use it) -> score.py (what it is worth)."""
