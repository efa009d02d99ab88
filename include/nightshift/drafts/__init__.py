"""`nightshift new`: a first draft of a source, a feature set or a model, from what is really there.

What is guessed is pure and knows frames and specs only (``inference``, ``source``, ``features``, ``model``);
looking at upstreams and at the warehouse is in ``look``; ``new`` joins the two and writes the file.
"""
