"""Programs that write where they should not, or change what the world is."""

from __future__ import annotations

from tests.sandbox.hostile.program import Hostile

FILES = (
    Hostile(
        "writes everywhere",
        """
tried()
mine = ("/workspace", "/tmp", "/dev/shm", "/proc")
for folder, folders, names in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in mine]
    if folder.count("/") > 3: folders.clear()
    try: open(os.path.join(folder, "understudy-hostile"), "w")
    except OSError: continue
    harmed("wrote in", folder)
""",
    ),
    Hostile(
        "overwrites what others run",
        """
tried()
for name in (sys.executable, os.__file__, "/bin/sh", "/usr/bin/env", *glob.glob("/.gate/**/*.py", recursive=True)):
    for deed, *more in ((open, "ab"), (os.unlink,), (os.rename, name + "x"), (os.chmod, 511), (os.utime,)):
        try: deed(name, *more)
        except OSError: continue
        harmed(name)
""",
    ),
    Hostile(
        "links out of the folder",
        """
tried()
for n, aim in enumerate(("/etc", "CANARY", "..", "/proc/1/root", "/usr", "/")):
    os.symlink(aim, f"link{n}")
    try: open(f"link{n}/understudy-hostile", "w")
    except OSError: continue
    harmed("through a link to", aim)
""",
    ),
    Hostile(
        "climbs out of the folder",
        """
tried()
if os.path.exists('../' * 40 + 'CANARY/secret.txt'): harmed('climbed')
fd = os.open('/workspace/..', os.O_RDONLY)
print(os.listdir(fd))
""",
    ),
    Hostile(
        "makes second names of files outside",
        """
tried()
for name in ('/bin/sh', '/proc/self/exe', sys.executable):
    if attempt(os.link, name, 'second') is not None: harmed(name)
if os.path.exists('second'): harmed('linked')
""",
    ),
    Hostile(
        "makes devices",
        """
tried()
for major, minor in ((8, 0), (254, 0), (1, 1)):
    attempt(os.mknod, f'd{minor}', 0o666 | stat.S_IFBLK, os.makedev(major, minor))
    attempt(os.mknod, f'c{minor}', 0o666 | stat.S_IFCHR, os.makedev(major, minor))
if os.listdir('.'): harmed(os.listdir('.'))
""",
    ),
    Hostile(
        "speaks to devices",
        """
tried()
for name in ('/dev/sda', '/dev/vda', '/dev/mem', '/dev/kmsg', '/dev/port', '/dev/fuse', '/dev/kvm', '/dev/net/tun'):
    try: os.open(name, os.O_RDWR)
    except OSError: continue
    harmed(name)
""",
    ),
    Hostile(
        "leaves a program with root's rights",
        """
import shutil
tried()
shutil.copy('/bin/sh', 'sh'); attempt(os.chown, 'sh', 0, 0); os.chmod('sh', 0o6755); attempt(os.chown, 'sh', 0, 0)
if os.stat('sh').st_uid == 0: harmed('a shell of root')
""",
    ),
    Hostile(
        "takes root's rights",
        """
tried()
for deed, *more in ((os.setuid, 0), (os.setreuid, 0, 0), (os.setresuid, 0, 0, 0), (os.setgroups, [0]), (os.setgid, 0)):
    attempt(deed, *more)
if 0 in (os.getuid(), os.geteuid(), os.getgid()): harmed("root")
for line in open("/proc/self/status"):
    if line.startswith(("CapEff", "CapPrm", "CapInh", "CapAmb")) and int(line.split()[1], 16): harmed(line)
""",
    ),
    Hostile(
        "asks programs with root's rights",
        """
tried()
for command in ("su -c id", "sudo -n id", "mount -t tmpfs x /workspace/x", "newgrp", "ping -c1 127.0.0.1"):
    try: done = subprocess.run(command.split(), capture_output=True, timeout=1, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired): continue
    if b"uid=0" in done.stdout: harmed(command)
if os.path.ismount("/workspace/x"): harmed("mounted")
""",
    ),
    Hostile(
        "mounts",
        """
tried()
os.mkdir("m")
for kind, source, flags in (("tmpfs", "x", 0), ("proc", "x", 0), ("none", "/", 4096), ("overlay", "x", 0)):
    if libc.mount(source.encode(), b"/workspace/m", kind.encode(), flags, None) == 0: harmed(kind)
for target in (b"/", b"/usr", b"/proc"):
    if libc.mount(b"none", target, b"none", 32 | 4096, None) == 0: harmed("writable", target)
    if libc.umount2(target, 2) == 0: harmed("gone", target)
""",
    ),
    Hostile(
        "makes namespaces of its own",
        """
tried()
for flags in (0x10000000, 0x10000000 | 0x20000, 0x40000000, 0x20000000):
    if libc.unshare(flags) == 0: harmed("unshare", hex(flags))
if os.uname().machine == "x86_64":
    call(56, 0x10000000 | 17, 0, 0, 0, 0)
    call(435, 0, 88)
""",
    ),
    Hostile(
        "goes into the namespaces of others",
        """
tried()
for name in glob.glob("/proc/*/ns/*"):
    try: fd = os.open(name, os.O_RDONLY)
    except OSError: continue
    if libc.setns(fd, 0) == 0: harmed(name)
""",
    ),
    Hostile(
        "changes its root",
        """
tried()
if attempt(os.chroot, '.') is not None: harmed('chroot')
if libc.chroot(b'.') == 0: harmed('chroot')
""",
    ),
    Hostile(
        "tampers with the kernel's settings",
        """
tried()
names = [name for part in ("kernel", "vm", "user", "fs", "net/*") for name in glob.glob(f"/proc/sys/{part}/*")]
for name in [*names, "/proc/sysrq-trigger"]:
    if os.path.isdir(name): continue
    try:
        fd = os.open(name, os.O_RDWR)
        os.write(fd, os.read(fd, 4096))
    except OSError: continue
    harmed(name)
""",
    ),
    Hostile(
        "sets the clock and the name",
        """
tried()
if libc.sethostname(b'owned', 5) == 0: harmed('name')
attempt(time.clock_settime, time.CLOCK_REALTIME, 0)
if time.time() < 10**9: harmed('clock')
""",
    ),
    Hostile(
        "loads into the kernel",
        """
tried()
is_intel = os.uname().machine == "x86_64"
for number in (321, 298, 323, 425, 175, 313, 246, 248, 250, 304, 155) if is_intel else (280, 241, 282, 425, 105):
    call(number, 0, 0, 0, 0, 0)
""",
    ),
    Hostile(
        "leaves traps in the folder",
        """
tried()
os.mkfifo("pipe"); socket.socket(socket.AF_UNIX).bind("door")
os.mkdir(b"new\\nline"); open(b"\\xff\\xfe", "w"); open("-rf", "w"); open("x" * 255, "w")
os.makedirs("shut/inner"); os.chmod("shut/inner", 0); os.chmod("shut", 0); os.chmod(".", 0)
""",
    ),
)
