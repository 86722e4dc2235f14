"""One question per module: ``python -m bench.fanout`` and so on, each printing one JSON line.

The machine drifts, so a figure alone says little: each question measures a limit of the machine in the same run,
in turn with centrifast, and reports the median of the ratios. ``python -m bench`` asks them all and stores the answers;
``table.py`` says what they mean.
"""
