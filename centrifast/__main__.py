"""``python -m centrifast``: the same as the ``centrifast`` command."""

from centrifast.cli.main import main

main()
