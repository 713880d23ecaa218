"""Tidegate: compact LSTM classifiers for short messages, with every gate shown."""

__version__ = "0.1.0"
