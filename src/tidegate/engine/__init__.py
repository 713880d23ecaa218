"""The engine that answers, in NumPy alone.

Takes     a `Bundle` (a trained model as data) and texts.
Gives     logits and probabilities, the same for a message alone and in any batch.
Knows     nothing of torch, of training, or of where the texts came from.
"""
