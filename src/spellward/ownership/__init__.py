"""Is a suspect model taken from a victim's? Answered from what models say about the same inputs, and from weights.

What a user calls, one file each:

claim        a model and its data -> all that a verdict will rest on             (`create_claim`, `load_claim`)
suspects     a checkpoint, an ONNX file, recorded outputs or a callable -> its answers
verify       a claim and a suspect -> verdict                                    (`verify`)
judge        recorded outputs of all models -> verdict                           (`judge`)
verdict      `Verdict`, with an exact JSON round trip

evidence/    what a claim is made of, before the model is released
answers/     what models said, from any file, on equal terms
statistics/  the default test, part by part
weights/     the same question asked of weights, where these can be seen
baselines/   Holmes as published, Dataset Inference, AKH, plain agreement
"""

from spellward.ownership.answers.outputs import load_outputs
from spellward.ownership.judge import METHODS, judge
from spellward.ownership.verdict import Control, Descent, Verdict

__all__ = ["METHODS", "Control", "Descent", "Verdict", "judge", "load_outputs"]
