"""Is a suspect model taken from a victim's? Answered from what models say about the same inputs, and from weights.

Making a claim, before the model is released:

references   independent models of the task, trained without the probes
shadows      the poisoned and the benign shadow of Holmes
probes       the images to ask about
weights      a sample of weights of victim, references and their public base
evidence     all of these, gathered
claim        all of it in one private folder                                   (`create_claim`, `load_claim`)
commitment   digests and signature, fixed before any suspect is seen

Verifying one:

exported     the probes as pictures, with a table to fill in
answers_table a CSV file of answers: its header, and the probe that each row is about
class_names  names of classes, whatever case and marks a table gives them
answers_file recorded answers, matched by names where they have any
suspects     a checkpoint, an ONNX file, recorded outputs or a callable -> its answers
verify       a claim and a suspect -> verdict                                  (`verify`)

The test itself:

outputs      files and arrays -> float64 [N, K] scores                         (`load_outputs`)
channel      what a suspect tells (all, rounded, top-k, class only), applied to every model alike
standardise  scores -> rows that scaling, shifts and softmax do not change
apart        whether victim, references and peers are models of their own
noised       noise on probabilities, or a uniform share among them
sanity       suspects that are no working copy of the task: inconclusive, with the cause
quality      what better models than the references share: taken out
statistic    residual cosine: what victim and suspect share beyond the references
null         how far an independent model may get: over models, not over rows
doubles      references with the suspect's opinion: what being right gets an independent model
against_many the effect of a suspect against three references or more, and both nulls
grain        what storing a model does to its weights
descent      whether weights moved from the public base as the victim's did, where they can be seen
nearness     near copies: the test for one reference, and for victims with little of their own
sequential   a test that may stop at any query
verdict      `Verdict`, with an exact JSON round trip
case         what every test gets and gives
default      the default test, from these parts
controls     suspects known to be innocent, judged in every run
judge        all of it in one call                                             (`judge`)
baselines    Holmes as published, Dataset Inference, AKH, plain agreement
"""

from spellward.ownership.judge import METHODS, judge
from spellward.ownership.outputs import load_outputs
from spellward.ownership.verdict import Control, Descent, Verdict

__all__ = ["METHODS", "Control", "Descent", "Verdict", "judge", "load_outputs"]
