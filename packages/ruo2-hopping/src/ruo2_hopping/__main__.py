"""python -m ruo2_hopping"""

from ruo2_hopping.cli import main

if __name__ == "__main__":
    main()
