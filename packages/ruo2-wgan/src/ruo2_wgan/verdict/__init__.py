"""A verdict on samples of any model: figures, memorisation, labels. It knows no networks."""
