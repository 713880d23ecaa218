"""Whole files scored in a stream.

Takes     a `Predictor` and a file of rows.
Gives     the same rows with label and probabilities added, in bounded memory: a file, resumable,
          or parts for who passes them on.
Knows     nothing of training or of terminals.
"""
