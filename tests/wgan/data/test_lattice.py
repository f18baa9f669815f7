"""Lattice lengths, scaled and back."""

from dataclasses import replace

import torch

from ruo2_wgan.data import scale_lattice, unscale_lattice
from tests.wgan.specs import make_spec

SPEC = replace(make_spec((8, 8, 8)), lattice_low=(5.0, 6.0, 20.0), lattice_high=(7.0, 10.0, 20.0))


def test_the_range_of_the_data_becomes_0_to_1() -> None:
    lengths = torch.tensor([[5.0, 6.0, 20.0], [7.0, 10.0, 20.0], [5.5, 9.0, 20.0]])
    expected = torch.tensor([[0.0, 0.0, 0.5], [1.0, 1.0, 0.5], [0.25, 0.75, 0.5]])
    torch.testing.assert_close(scale_lattice(SPEC, lengths), expected)


def test_scaled_lengths_come_back_and_a_length_without_range_is_that_of_the_data() -> None:
    lengths = torch.tensor([[5.3, 7.7, 20.0], [6.9, 6.1, 20.0]], dtype=torch.float64)
    torch.testing.assert_close(unscale_lattice(SPEC, scale_lattice(SPEC, lengths)), lengths, rtol=0, atol=1e-12)
    anywhere = torch.tensor([[0.1, 0.2, 0.9]], dtype=torch.float64)
    assert unscale_lattice(SPEC, anywhere)[0, 2] == 20.0
