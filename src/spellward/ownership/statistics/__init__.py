"""The default test, part by part.

case         what every test gets and gives
sanity       suspects that are no working copy of the task: inconclusive, with the cause
apart        whether victim, references and peers are models of their own
statistic    residual cosine: what victim and suspect share beyond the references
quality      what better models than the references share: taken out
doubles      references with the suspect's opinion: what being right gets an independent model
null         how far an independent model may get: over models, not over rows
sequential   a test that may stop at any query
against_many the effect of a suspect against three references or more, and both nulls
nearness     near copies: the test for one reference, and for victims with little of their own
default      the default test, from these parts
controls     suspects known to be innocent, judged in every run
"""
