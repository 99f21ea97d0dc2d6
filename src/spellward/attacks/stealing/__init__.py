"""Ways to take a model: from its weights, from its answers, and by disguising the answers of the copy."""
