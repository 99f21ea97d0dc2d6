"""What a claim is made of, before the model is released.

references   independent models of the task, trained without the probes, and peers, which know these
shadows      the poisoned and the benign shadow of Holmes
probes       the images to ask about
gathering    all of these, with answers and weights of every model
commitment   digests and signature, fixed before any suspect is seen
"""
