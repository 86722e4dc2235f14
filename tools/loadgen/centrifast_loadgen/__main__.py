"""``python -m centrifast_loadgen``."""

from centrifast_loadgen.cli import main

if __name__ == "__main__":
    main()
