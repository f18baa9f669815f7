"""The nearest real structure of a sample, over a whole store and all exact symmetries."""
