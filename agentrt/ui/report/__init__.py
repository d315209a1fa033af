"""A run for a colleague: as one web page, one picture, or a trace. The same folds as the screens, and none of Textual.

``reading`` makes a ``Report`` of what a journal holds; ``page``, ``picture`` and ``perfetto`` make text of that.
"""
