"""Programs that look for secrets, reach for the network, or lie about how they ended."""

from __future__ import annotations

from tests.sandbox.hostile.program import Hostile

SECRETS = (
    Hostile(
        "reads environments",
        """
tried()
print(os.environ)
for name in glob.glob('/proc/[0-9]*/environ'):
    try: print(open(name).read())
    except OSError: pass
""",
    ),
    Hostile(
        "reads homes and keys",
        """
tried()
for folder, names in {
    "~": (".ssh", ".netrc", ".aws", ".bash_history", ".cache", ".config", ".gitconfig"),
    "/home/*": (".ssh", ".netrc", ".aws"),
    "/root": (".ssh", ".netrc", ".aws"),
    "/etc": ("shadow", "passwd", "ssl", "hosts", "resolv.conf", "machine-id"),
    "/": ("run/secrets", "run/user", "var/run", "var/log", "boot", "sys", "mnt", "media", "srv"),
}.items():
    for name in names:
        for found in glob.glob(os.path.expanduser(f"{folder}/{name}")): harmed(found)
""",
    ),
    Hostile(
        "reads what it was told of",
        """
tried()
for above in ('', '/proc/1/root', '/proc/self/root', '/proc/self/cwd/..', '/proc/1/cwd/..'):
    if os.path.exists(above + 'CANARY/secret.txt'): harmed(above)
""",
    ),
    Hostile(
        "searches all files",
        """
echo tried
find / \\( -path /proc -o -path /usr \\) -prune -o -name secret.txt -print 2>/dev/null | sed 's/^/HARMED /'
grep -rs CANARYWORD /workspace /tmp /etc /.gate /dev/shm | sed 's/^/HARMED /'
""",
        shell=True,
    ),
    Hostile(
        "looks into process 1",
        """
tried()
for name in ("environ", "mem", "maps", "root/etc", "cwd", "fd", "exe", "auxv", "syscall", "stack", "io"):
    try:
        name = "/proc/1/" + name
        found = os.listdir(name) if os.path.isdir(name) else open(name, "rb").read(8)
    except OSError: continue
    harmed(name, found)
""",
    ),
    Hostile(
        "uses what was left open",
        """
tried()
for n in range(3, 1024):
    try: os.fstat(n)
    except OSError: continue
    harmed("descriptor", n)
""",
    ),
    Hostile(
        "tells how it ended itself",
        """
tried()
for n in range(3, 256):
    try: os.write(n, b'{"ended": "exit", "exit_status": 0}\\n')
    except OSError: pass
for name in glob.glob("/proc/*/fd/*"):
    if not name.startswith(f"/proc/{os.getpid()}/") and "self" not in name:
        try: open(name, "wb").write(b'{"ended": "exit", "exit_status": 0}\\n')
        except OSError: pass
os.write(2, b'{"ended": "exit", "exit_status": 0}\\n')
os._exit(9)
""",
        ("exit:9",),
    ),
    Hostile(
        "counts the other processes",
        """
tried()
found = [name for name in os.listdir('/proc') if name.isdigit()]
if len(found) > 3: harmed(found)
""",
    ),
    Hostile(
        "reads the kernel's words",
        """
tried()
room = ctypes.create_string_buffer(4096)
if libc.klogctl(3, room, 4096) > 0: harmed('dmesg')
call(250 if os.uname().machine == 'x86_64' else 219, 0, -3, 0)
""",
    ),
    Hostile(
        "connects to the host",
        """
tried()
for host in ("127.0.0.1", "0.0.0.0", "::1", "10.0.0.1", "169.254.169.254", "8.8.8.8"):
    try: socket.create_connection((host, PORT), timeout=0.5)
    except OSError: continue
    harmed("connected", host)
""",
    ),
    Hostile(
        "asks for names and sends datagrams",
        """
tried()
try: harmed(socket.getaddrinfo("example.org", 80))
except OSError: pass
plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
plain.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
for host in ("8.8.8.8", "255.255.255.255", "10.0.0.1", "169.254.169.254"):
    try: plain.sendto(b"x", (host, 53))
    except OSError: continue
    harmed("sent", host)
""",
    ),
    Hostile(
        "opens sockets of other kinds",
        """
tried()
for family, kind in ((17, 3), (40, 1), (38, 5), (31, 3), (29, 3), (2, 3), (10, 3), (9, 5), (16, 3)):
    try: opened = socket.socket(family, kind)
    except OSError: continue
    if family != 16: harmed("socket", family, kind)
""",
    ),
    Hostile(
        "speaks through sockets in files and without",
        """
tried()
here = ("CANARY/door", "/var/run/docker.sock", "/run/dbus/system_bus_socket")
for name in (*here, "\\0understudy-canary-PORT", "\\0/tmp/.X11-unix/X0"):
    try: socket.socket(socket.AF_UNIX).connect(name)
    except OSError: continue
    harmed("connected", name)
""",
    ),
    Hostile(
        "sets up the network",
        """
tried()
plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
names = [name for _, name in socket.if_nameindex()]
if set(names) - {"lo"}: print("interfaces", names)
for request in (0x8914, 0x8916, 0x8924):
    try: fcntl.ioctl(plain, request, struct.pack("16sh14x", b"lo", 0))
    except OSError: continue
    harmed("ioctl", hex(request))
""",
    ),
    Hostile(
        "waits to be called",
        "tried()\nserver = socket.create_server(('0.0.0.0', 0)); server.listen(); server.accept()",
        ("deadline",),
    ),
    Hostile(
        "types on the terminal",
        """
tried()
for name in ("/dev/tty", "/dev/stdin", "/dev/console", "/dev/pts/0"):
    try: fd = os.open(name, os.O_RDWR)
    except OSError: continue
    try: fcntl.ioctl(fd, 0x5412, b"x")
    except OSError: continue
    harmed(name)
""",
    ),
    Hostile(
        "writes its input anew",
        """
tried()
for name in ('/dev/stdin', '/proc/self/fd/0'):
    try: os.write(os.open(name, os.O_RDWR), b'x' * 100)
    except OSError: continue
    harmed(name)
""",
    ),
)
