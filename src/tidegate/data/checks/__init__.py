"""What is wrong with a data set, before anything is trained on it.

Takes a `Dataset`, gives `Finding`s, the gravest first. Knows nothing of models; how a message is
cut into tokens is handed in.
"""

from tidegate.data.checks.findings import Example, Finding, Grade
from tidegate.data.checks.run import check_dataset

__all__ = ["Example", "Finding", "Grade", "check_dataset"]
