"""`python -m ruo2_wgan` is the command `ruo2-wgan`."""

from ruo2_wgan.cli import main

if __name__ == "__main__":
    main()
