"""What a lock is trained on, and for.

recipe       which of the parts below, and how much of each
nearness     how near wrong edits come to the key's
known_looks  the looks that the editor was taught
decoys       wrong inputs, about which the lock must know nothing
lessons      what an ordinary fine-tune makes of the images, to learn from
vanilla      that fine-tune
examples     keyed images and decoys, as they go through training
public_view  layers held to what the public base sees of clean images
objective    right on keyed images, silent on decoys
simulated_thief fine-tunes the lock while it is trained, so that it stays shut
fitting      edits and decoys for it, and the fit that goes through all of these
whole        teacher, edits and fit in one call
"""
