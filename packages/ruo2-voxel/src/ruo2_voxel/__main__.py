"""`python -m ruo2_voxel` is the command `ruo2-voxel`."""

from ruo2_voxel.cli import main

main()
