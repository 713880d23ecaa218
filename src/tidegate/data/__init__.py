"""Files to rows, rows to labelled messages, and rows back to files.

Takes     CSV, TSV, JSON lines and Parquet files, or lists in memory.
Gives     a `Dataset` of labelled messages, fair splits of its rows, and files written whole.
Knows     nothing of tokens, networks or scores.
"""
