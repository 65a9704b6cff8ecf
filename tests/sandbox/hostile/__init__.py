"""Programs that try to do harm, one name each, with how they may end."""

from tests.sandbox.hostile.files import FILES
from tests.sandbox.hostile.processes import PROCESSES
from tests.sandbox.hostile.program import PRELUDE, Hostile
from tests.sandbox.hostile.secrets import SECRETS
from tests.sandbox.hostile.usage import USAGE

PROGRAMS: tuple[Hostile, ...] = (*PROCESSES, *USAGE, *FILES, *SECRETS)

__all__ = ["PRELUDE", "PROGRAMS", "Hostile"]
