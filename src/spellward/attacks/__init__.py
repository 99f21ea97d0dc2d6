"""What a thief can try: `unlocking` a locked model without its key, and `stealing` a model."""
