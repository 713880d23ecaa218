"""One message explained: every gate the network opened while it read it.

Takes     a `Predictor` and a message.
Gives     a `Walk`: gates, states and each token's contribution to the answer.
Knows     nothing of pages or terminals, which show a walk.
"""
