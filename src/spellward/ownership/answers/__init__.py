"""What models said about the same inputs, from any file, on equal terms.

exported     the probes as pictures, with a table to fill in
table        a CSV file of answers: its header, and the probe that each row is about
class_names  names of classes, whatever case and marks a table gives them
file         recorded answers, matched by names where they have any
outputs      files and arrays -> float64 [N, K] scores                           (`load_outputs`)
noised       noise on probabilities, or a uniform share among them
channel      what a suspect tells (all, rounded, top-k, class only), applied to every model alike
standardise  scores -> rows that scaling, shifts and softmax do not change
"""
