"""Programs that use up memory, disk, output, or patience."""

from __future__ import annotations

from tests.sandbox.hostile.program import Hostile

USAGE = (
    Hostile(
        "eats memory",
        """
tried()
kept = []
try:
    while True: kept.append(bytearray(8 << 20))
except MemoryError: print('refused')
""",
        ("exit:0", "limit:memory"),
    ),
    Hostile(
        "eats memory in many processes",
        """
tried()
for _ in range(3): os.fork()
kept = bytearray(60 << 20)
for at in range(0, len(kept), 4096): kept[at] = 1
time.sleep(60)
""",
        ("limit:memory", "limit:cpu", "deadline"),
    ),
    Hostile(
        "eats memory that is shared",
        """
tried()
for _ in range(3): os.fork()
kept = []
try:
    while True: kept.append(mmap.mmap(-1, 16 << 20)); kept[-1].write(b"x" * (16 << 20))
except (OSError, MemoryError): time.sleep(60)
""",
        ("limit:memory", "limit:hidden", "limit:cpu", "deadline"),
    ),
    Hostile(
        "hoards memory files",
        "tried()\nif attempt(os.memfd_create, 'x') is not None: harmed('memfd')",
    ),
    Hostile(
        "hoards segments of System V",
        "tried()\nif libc.shmget(0, ctypes.c_size_t(1 << 20), 0o1600) >= 0: harmed('segment')",
    ),
    *(
        Hostile(
            f"fills {place}",
            f"""
tried()
try:
    for n in range(64):
        with open("{place}/f%d" % n, "wb") as file:
            for _ in range(8): file.write(b"x" * (1 << 20))
    harmed("512 MiB in {place}")
except OSError as error: print(error)
""",
        )
        for place in ("/tmp", "/dev/shm")
    ),
    Hostile(
        "fills the disk with one file",
        """
tried()
try:
    with open("f", "wb") as file:
        while True: file.write(b"x" * (1 << 20))
except OSError as error: print(error)
if os.path.getsize("f") > 10 << 20: harmed("a large file")
""",
    ),
    Hostile(
        "fills the disk with many files",
        """
tried()
for n in range(10**6):
    with open(f'f{n}', 'wb') as file: file.write(b'x' * (4 << 20))
""",
        ("limit:disk", "limit:cpu", "deadline"),
    ),
    Hostile(
        "fills the disk with deleted files",
        """
tried()
kept = []
for n in range(200):
    kept.append(open("f", "wb")); os.unlink("f"); kept[-1].write(b"x" * (4 << 20)); kept[-1].flush()
""",
        ("limit:disk", "limit:cpu", "deadline"),
    ),
    Hostile(
        "fills the disk where nobody may look",
        """
tried()
os.makedirs("a/b"); os.chdir("a/b"); os.chmod("..", 0)
for n in range(10**6):
    with open(f"f{n}", "wb") as file: file.write(b"x" * (4 << 20))
""",
        ("limit:disk", "limit:hidden", "limit:cpu", "deadline"),
    ),
    Hostile(
        "makes a file that looks large",
        """
tried()
attempt(os.truncate, os.open('f', os.O_CREAT | os.O_RDWR), 1 << 40)
if os.path.getsize('f'): harmed('sparse')
""",
    ),
    Hostile(
        "uses up the names of files",
        """
tried()
os.mkdir('d')
for n in range(10**7): os.close(os.open(f'd/{n}', os.O_CREAT | os.O_WRONLY))
""",
        ("limit:files", "limit:cpu", "deadline"),
    ),
    Hostile(
        "nests directories without end",
        "tried()\nwhile True: os.mkdir('d'); os.chdir('d')",
        ("limit:files", "limit:hidden", "limit:cpu", "deadline"),
    ),
    Hostile(
        "writes without end",
        "tried()\nwhile True: os.write(1, b'x' * 65536)",
        ("limit:output", "limit:cpu", "deadline"),
    ),
    Hostile(
        "complains without end",
        "echo tried; yes complaint >&2",
        ("limit:output", "limit:cpu", "deadline"),
        shell=True,
    ),
    Hostile(
        "writes what is no text",
        """
tried()
os.write(1, bytes(range(256)) * 100 + b'\\x1b]0;title\\x07\\x1b[2J')
""",
    ),
    Hostile(
        "closes its output and stays",
        """
tried()
os.close(1); os.close(2)
time.sleep(60)
""",
        ("deadline",),
    ),
    Hostile(
        "recurses",
        "tried()\nsys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1) + 1\nf(0)",
        ("signal", "exit:1", "limit:memory", "limit:cpu", "deadline"),
    ),
    Hostile(
        "counts to a number nobody can",
        "tried()\nprint(len(str(9 ** 9 ** 9)))",
        ("limit:cpu", "limit:memory", "exit:1", "deadline"),
    ),
    Hostile(
        "searches without end",
        """
import re
tried()
re.match('(a*)*b', 'a' * 60)
""",
        ("limit:cpu", "deadline"),
    ),
    Hostile(
        "gives a program endless arguments",
        """
tried()
attempt(subprocess.run, ['/bin/true', 'x' * (64 << 20)])
attempt(subprocess.run, ['/bin/true'] + ['x' * 1000] * 100000)
""",
        ("exit:0", "limit:cpu", "limit:memory", "deadline"),
    ),
    Hostile(
        "opens files without end",
        """
tried()
kept = []
try:
    while True: kept.append(open('/dev/null'))
except OSError:
    if len(kept) > 1000: harmed('files')
""",
    ),
    Hostile(
        "fills pipes without end",
        """
tried()
try:
    while True:
        read, write = os.pipe(); os.set_blocking(write, False); fcntl.fcntl(write, 1031, 1 << 20)
        os.write(write, b"x" * (1 << 20))
except OSError as error: print(error)
""",
    ),
    Hostile(
        "waits for more input",
        """
tried()
sys.stdin.read()
import select
select.select([], [], [])
""",
        ("deadline",),
    ),
)
