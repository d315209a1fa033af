"""Answers that are there already: which of them may be given again, and how sure that is.

``base``        what an answer, an index, an embedder and a store are
``request``     what of a model turn may be cached, and what has to be equal
``category``    rules for kinds of questions, and finding a question's kind
``features``    a pair of questions as numbers; ``verifier``, a model over them
``bound``       from feedback to the threshold that keeps a promised error
``index``       nearest vectors;  ``embed``: texts as vectors
``cache``       the core: look up, keep, let go

Nothing here knows an event loop, a database or a socket but the embedder that is one.
"""
