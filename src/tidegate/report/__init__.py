"""A trained model's report for people: `report.html`, `report.json`, and the model card.

Takes `Scored`, gives text. It draws with SVG of its own and needs no library.
"""
