"""``python -m drfuse_cli`` is the ``drfuse`` command."""

from drfuse_cli.cli.app import main

main()
