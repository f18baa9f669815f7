"""Figures that compare fakes with reals as distributions of densities; they know no networks and no atoms."""

from ruo2_wgan.measures.distances import RealDistribution
from ruo2_wgan.measures.features import check_densities, plane_magnitudes
from ruo2_wgan.measures.stripes import compare_stripes, stripe_index, stripe_ratios

__all__ = [
    "RealDistribution",
    "check_densities",
    "compare_stripes",
    "plane_magnitudes",
    "stripe_index",
    "stripe_ratios",
]
