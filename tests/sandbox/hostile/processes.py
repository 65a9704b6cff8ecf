"""Programs that multiply, hide, outlive their end, or turn on others."""

from __future__ import annotations

from tests.sandbox.hostile.program import Hostile

_USED_UP = ("deadline", "limit:cpu", "limit:processes", "limit:memory")

PROCESSES = (
    Hostile(
        "fork bomb",
        """
tried()
while True:
    try: os.fork()
    except OSError: pass
""",
        _USED_UP,
    ),
    Hostile(
        "fork bomb of the shell",
        "echo tried; bomb() { bomb | bomb & }; bomb; wait; sleep 60",
        ("exit:0", "exit:2", "exit:254", *_USED_UP),
        shell=True,
    ),
    Hostile(
        "thread bomb",
        """
tried()
threading.stack_size(65536)
n = 0
while True:
    try:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start(); n += 1
    except RuntimeError:
        if n > 40: harmed(n, "threads")
        os._exit(0)
""",
        ("exit:0", "limit:processes"),
    ),
    Hostile(
        "zombie storm",
        """
tried()
while True:
    try:
        if os.fork() == 0: os._exit(0)
    except OSError: pass
""",
        _USED_UP,
    ),
    Hostile(
        "orphan storm",
        """
tried()
while True:
    try:
        if os.fork() == 0:
            if os.fork() == 0: time.sleep(0.01)
            os._exit(0)
        os.waitpid(-1, 0)
    except OSError: pass
""",
        _USED_UP,
    ),
    Hostile(
        "daemon of two forks and a session",
        """
tried()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for n in (0, 1, 2): os.close(n)
        time.sleep(30); os._exit(0)
    os._exit(0)
os._exit(0)
""",
    ),
    Hostile(
        "background processes of the shell",
        "echo tried; (nohup setsid sleep 30 >/dev/null 2>&1 &); (trap '' TERM HUP; sleep 30) & exit 0",
        shell=True,
    ),
    Hostile(
        "daemon that holds the output open",
        "tried()\nif os.fork() == 0:\n    os.setsid(); time.sleep(30)\nos._exit(0)",
    ),
    Hostile(
        "ignores every signal",
        """
for n in range(1, 65):
    try: signal.signal(n, signal.SIG_IGN)
    except (OSError, ValueError): pass
tried()
while True: time.sleep(1)
""",
        ("deadline",),
    ),
    Hostile(
        "ignores the processor's limit",
        "signal.signal(signal.SIGXCPU, signal.SIG_IGN)\ntried()\nwhile True: pass",
        ("limit:cpu", "deadline"),
    ),
    Hostile("busy loop", "tried()\nwhile True: pass", ("limit:cpu", "deadline")),
    Hostile(
        "busy loops that share the time",
        "tried()\nfor _ in range(3): os.fork()\nwhile True: pass",
        ("limit:cpu", "deadline"),
    ),
    Hostile("sleeps for ever", "tried()\ntime.sleep(10**6)", ("deadline",)),
    Hostile("stops itself", "tried()\nos.kill(os.getpid(), signal.SIGSTOP)", ("deadline",)),
    Hostile(
        "kills all it can",
        "tried()\nfor n in (15, 9):\n    attempt(os.kill, -1, n)",
        ("exit:0", "signal"),
    ),
    Hostile(
        "kills its parent",
        """
tried()
for n in range(1, 32):
    attempt(os.kill, os.getppid(), n)
time.sleep(0.2)
""",
    ),
    Hostile(
        "kills by number",
        """
tried()
for n in range(1, 40000):
    if n != os.getpid():
        try: os.kill(n, 9)
        except OSError: pass
""",
    ),
    Hostile("kills its group", "tried()\nos.killpg(0, 9)", ("signal",)),
    Hostile(
        "runs itself without end",
        """
tried()
os.execv(sys.executable, [sys.executable, '-S', '-c', 'import os, sys; os.execv(sys.executable, sys.orig_argv)'])
""",
        ("limit:cpu", "deadline"),
    ),
    Hostile(
        "storm of signals",
        """
tried()
signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGALRM))
signal.setitimer(signal.ITIMER_REAL, 1e-5, 1e-5)
while True:
    try: time.sleep(1)
    except BaseException: pass
""",
        ("limit:cpu", "deadline", "signal"),
    ),
    Hostile(
        "wants to be served first",
        """
tried()
if attempt(os.nice, -10) is not None: harmed("nice")
attempt(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(50))
if os.sched_getscheduler(0) == os.SCHED_FIFO: harmed("real time")
""",
    ),
    Hostile(
        "raises its own limits",
        """
tried()
for name in ("AS", "CPU", "FSIZE", "NPROC", "NOFILE"):
    kind = getattr(resource, "RLIMIT_" + name)
    before = resource.getrlimit(kind)
    attempt(resource.setrlimit, kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    if resource.getrlimit(kind) != before: harmed("limit", kind)
""",
    ),
    Hostile("dumps its core", "tried()\nos.abort()", ("signal",)),
    Hostile(
        "leaves the kernel's killer to others",
        """
tried()
before = open("/proc/self/oom_score_adj").read()
try: open("/proc/self/oom_score_adj", "w").write("-1000")
except OSError: pass
if open("/proc/self/oom_score_adj").read() != before: harmed("oom_score_adj")
""",
    ),
    Hostile(
        "traces process 1",
        """
tried()
call(101 if os.uname().machine == 'x86_64' else 117, 16, 1, 0, 0)
call(101, 0x4206, 1, 0, 0)
""",
    ),
    Hostile(
        "reads another's memory by a call",
        """
tried()
room = ctypes.create_string_buffer(64)
class Part(ctypes.Structure): _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
here, there = Part(ctypes.addressof(room), 64), Part(0x400000, 64)
if libc.process_vm_readv(1, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) >= 0: harmed("memory of process 1")
""",
    ),
    Hostile(
        "hides from the watcher",
        """
tried()
if libc.prctl(4, 0, 0, 0, 0) == 0: harmed('not dumpable')
""",
    ),
    Hostile(
        "hides behind a program nobody may read",
        """
import shutil
tried()
shutil.copy("/bin/sleep", "sleep"); os.chmod("sleep", 0o111)
os.execv("./sleep", ["sleep", "60"])
""",
        ("limit:hidden", "deadline"),
    ),
)
