"""Locking a model behind a key, using what was locked, and measuring what the lock is worth.

What a user calls, one file each:

lock         data, key and a public model -> a locked folder and a key file      (`lock`)
unlock       the key and its editor in front of a locked model                   (`unlock`)
predict      image files -> predictions
pairing      a key for a locked folder that it has lost
scoring      a locked folder and its key -> what the lock is worth               (`score`)
attacking    a locked folder and its key -> what thieves get out of it           (`attack`)
suggest      data -> which spells would lock it well                             (`suggest`)

What these share: a key's editor, a lock on disk, and where it came from:

keying       a key and the editor it names
folder       `lock.json`: what a locked folder says about itself, nothing of its key
publishing   a folder and a key, both or neither
settings_file how it was trained, kept with the owner's report
public_base  the public model that it started from
pictures     what a caller hands in as images

training/    what a lock is trained on, and for: recipes, decoys, simulated thieves
measuring/   what a score and an attack's report are made of
suggesting/  candidates, what a spell does to a few images, the forecast from that
"""
