"""Text to tokens, and tokens to the ids that a network reads.

Takes     messages.
Gives     tokens (with their place in the text, if asked), a `Vocabulary`, and id lists.
Knows     nothing of files, weights or labels.
"""
