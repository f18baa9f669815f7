"""Wasserstein GANs with gradient penalty that learn atomic structures from the stores of `ruo2_voxel`."""
