"""Where rows are worked on: blocks of a night go in, files and receipts come out, and nobody holds a whole night.

A block is so many rows of a night in the order of their key, always the same ones: an estimator may differ in the last
bit by what is predicted together (logistic regression does), so blocks decide what a night comes to, and whoever works
on them comes to the same. What is said of a block lies in a file that is named by its content; its receipt has the
counts, which sum. To commit them is for the stage that asked: one transaction, under its lease.

A job is told, not given: a model's file by its hash, specs, bins, offsets. So it can be done ``here``, by threads that
are given the blocks, or on ``spark``, by processes that are given files of them (``shards``). Nothing is imported at
this level: the process that drives Spark needs none of it.
"""
