"""Whether the two sources of a pair lie on each other, by how much not, and how to mend it."""

from drfuse_cli.registration.align import move, register
from drfuse_cli.registration.finding import Finding, Registration

__all__ = ["Finding", "Registration", "move", "register"]
