"""Training: launching, the loop, the adversarial step, checkpoints, and the folder that a run leaves behind."""
