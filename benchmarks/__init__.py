"""What tidegate claims, measured: each module prints a table and writes JSON to `results/`."""
