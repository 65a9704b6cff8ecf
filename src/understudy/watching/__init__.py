"""A local, read-only web server that shows runs while they go on."""

from understudy.watching.running import watch
from understudy.watching.settings import Settings

__all__ = ["Settings", "watch"]
