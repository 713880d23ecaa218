"""Distillation: a teacher labels texts with probabilities, and a student learns from these.

Takes     training rows and a config that names a teacher.
Gives     soft labels, and the student that training makes from them.
Knows     nothing of the command line. What a student is made of is training's business.

A blend needs what training needs. A pretrained encoder needs more: see `encoders`.
"""

import tidegate.training  # noqa: F401 - its door says which extra is missing
