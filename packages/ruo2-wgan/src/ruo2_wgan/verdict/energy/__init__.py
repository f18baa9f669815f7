"""Energies of samples, and whether they have the classes that were asked for."""
