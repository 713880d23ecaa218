"""Why gates: RNN, GRU and LSTM put to the test, and the page that shows the outcome.

Takes     lengths, seeds and sizes.
Gives     what each kind of cell learned, how far its gradients reach, and a page.
Knows     nothing of messages, datasets or bundles.
"""
