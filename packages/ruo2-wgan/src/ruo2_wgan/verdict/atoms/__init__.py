"""What the atoms of structures are like: decoded, measured, compared, and whether two structures are the same."""
