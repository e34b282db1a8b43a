"""How well the net reads attributes, and how good generated faces are."""
