"""Scores of probabilities against the truth.

Takes     targets and probabilities of rows that a model has not learned from.
Gives     scores with intervals, a paired comparison, calibration, thresholds and decisions; what
          messages were like, and how far others are from it.
Knows     nothing of texts, models or files.
"""
