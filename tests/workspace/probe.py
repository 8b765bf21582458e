"""Runs inside a workspace and tells what is seen there, as one JSON object of rows: name → text. Standard library only.

Usage: probe.py FILE [MARK]: writes the rows to FILE (- is stdout), then waits until its input ends.
"""

import ctypes
import errno
import json
import os
import resource
import signal
import socket
import stat
import sys

libc = ctypes.CDLL(None, use_errno=True)
rows = {}


def attempt(action):
    """"ok", or the name of the errno."""
    try:
        action()
        return "ok"
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e.errno))


def call(number, *args):
    # As whole words: ctypes leaves the upper half of an int's place on the stack as it was.
    words = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]

    def action():
        if libc.syscall(number, *words) < 0:
            raise OSError(ctypes.get_errno(), "")

    return attempt(action)


def in_child(action):
    """How a child ends that does this: the filter kills some."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def identity():
    wanted = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Uid", "Gid", "Groups")
    for line in open("/proc/self/status"):
        name, value = line.split(":", 1)
        if name in wanted:
            rows[name] = " ".join(value.split())
    for kind in ("uid_map", "gid_map"):
        rows[kind] = "; ".join(" ".join(line.split()) for line in open(f"/proc/self/{kind}"))
    rows["umask"] = f"{os.umask(0):03o}"
    os.umask(int(rows["umask"], 8))
    rows["cwd"] = os.getcwd()
    rows["hostname"] = socket.gethostname()
    rows["oom_score_adj"] = open("/proc/self/oom_score_adj").read().strip()
    rows["descriptors"] = " ".join(sorted(fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")))
    for name, value in sorted(os.environ.items()):
        if name != "LC_CTYPE":  # Python's own, in the C locale
            rows[f"env {name}"] = value
    for name in sorted(n for n in dir(resource) if n.startswith("RLIMIT_")):
        rows[name] = "{}:{}".format(*resource.getrlimit(getattr(resource, name)))


def files():
    for line in open("/proc/self/mountinfo"):
        words = line.split()
        dash = words.index("-")
        own = [w for w in words[dash + 3].split(",") if w.split("=")[0] in ("size", "mode", "ptmxmode", "userxattr")]
        rows[f"mount {words[4]}"] = " ".join([words[dash + 1], words[5], *own])
    for name in sorted(os.listdir("/dev")):
        st = os.lstat(f"/dev/{name}")
        if stat.S_ISLNK(st.st_mode):
            rows[f"/dev/{name}"] = "-> " + os.readlink(f"/dev/{name}")
        elif stat.S_ISCHR(st.st_mode):
            rows[f"/dev/{name}"] = f"{os.major(st.st_rdev)}:{os.minor(st.st_rdev)} {st.st_mode & 0o7777:o} {st.st_uid}:{st.st_gid}"
    for path in ("/", "/dev", "/dev/pts", "/dev/shm", "/tmp", "/var/tmp", "/run", "/run/lock", "/proc", "/sys", "/etc", "/workspace",
                 os.environ["HOME"], "/opt/venv", "/workspace/out", "/workspace/made/here", "/data"):
        if os.path.exists(path):
            st = os.stat(path)
            rows[f"folder {path}"] = f"{st.st_mode & 0o7777:o} {st.st_uid}:{st.st_gid}"
            rows[f"write {path}"] = attempt(lambda: os.close(os.open(f"{path}/probe-{os.getpid()}", os.O_CREAT | os.O_WRONLY)))
    for path in ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/interrupts", "/proc/sysrq-trigger"):
        rows[f"read {path}"] = attempt(lambda: open(path, "rb").read(64))
    for path in ("/proc/acpi", "/sys/firmware"):
        rows[f"list {path}"] = " ".join(os.listdir(path)) if os.path.isdir(path) else "missing"
    for path in ("/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/sys/kernel/uevent_seqnum"):
        rows[f"open {path} for writing"] = attempt(lambda: os.close(os.open(path, os.O_WRONLY)))
    rows["open /dev/tty"] = attempt(lambda: os.close(os.open("/dev/tty", os.O_RDWR)))


# Numbers of x86-64. Arguments that the kernel itself answers otherwise than the filter, where there are such.
CALLS = {
    "mount": (165, 0, 0, 0, 0, 0), "umount2": (166, 0, 0), "pivot_root": (155, 0, 0), "chroot": (161, b"/"),
    "open_tree": (428, -1, b"", 0), "move_mount": (429, -1, b"", -1, b"", 0), "fsopen": (430, 0, 0), "mount_setattr": (442, -1, b"", 0, 0, 0),
    "open_tree_attr": (467, -1, b"", 0, 0, 0), "setns": (308, -1, 0), "open_by_handle_at": (304, -1, 0, 0),
    "unshare(user)": (272, 0x10000000), "unshare(net)": (272, 0x40000000), "unshare(time)": (272, 0x80), "unshare(files)": (272, 0x400),
    "clone3": (435, 0, 0),
    "bpf": (321, 0, 0, 0), "perf_event_open": (298, 0, 0, -1, -1, 0), "userfaultfd": (323, 0), "io_uring_setup": (425, 0, 0),
    "keyctl": (250, 0, -1, 0), "add_key": (248, 0, 0, 0, 0, 0), "request_key": (249, 0, 0, 0, 0),
    "ptrace(traceme)": (101, 0, 0, 0, 0), "process_vm_readv": (310, 1, 0, 0, 0, 0, 0), "kcmp": (312, 1, 1, 0, 0, 0),
    "init_module": (175, 0, 0, 0), "kexec_load": (246, 0, 0, 0, 0), "reboot": (169, 0, 0, 0, 0), "syslog": (103, 3, 0, 0),
    "swapon": (167, 0, 0), "acct": (163, 0), "quotactl": (179, 0, 0, 0, 0), "iopl": (172, 0), "settimeofday": (164, 0, 0),
    "clock_settime": (227, 0, 0), "fanotify_init": (300, 0, 0), "sethostname": (170, b"x", 1), "personality": (135, 0xFFFFFFFF),
    "ioctl(TIOCSTI)": (16, 0, 0x5412, 0), "ioctl(TIOCLINUX)": (16, 0, 0x1541C, 0), "socket(vsock)": (41, 40, 1, 0), "socket(packet)": (41, 17, 3, 0),
    "openat2": (437, -100, b"/", 0, 0), "mknod(char)": (133, b"/tmp/node", 0o20666, 0x103),
    "setuid(0)": (105, 0), "setgid(0)": (106, 0), "setgroups": (116, 0, 0), "setpriority": (141, 0, 0, -5), "getpid": (39,),
}


def calls():
    for name, (number, *args) in CALLS.items():
        if name == "ptrace(traceme)":
            rows[f"call {name}"] = str(in_child(lambda: os._exit(0 if call(number, *args) == "ok" else 1)))
        else:
            rows[f"call {name}"] = call(number, *args)
    rows["call clone(user)"] = call(56, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)
    rows["call getpid of x32"] = str(in_child(lambda: libc.syscall(0x40000000 + 39)))
    made = f"/tmp/set-id-{os.getpid()}"
    open(made, "w").close()
    rows["chmod u+s"] = attempt(lambda: os.chmod(made, 0o4755))
    rows["fchmodat2 g+s"] = call(452, -100, made.encode(), 0o2755, 0)
    rows["chown to 0"] = attempt(lambda: os.chown(made, 0, 0))
    rows["create u+s"] = attempt(lambda: os.close(os.open(made + "x", os.O_CREAT | os.O_WRONLY, 0o4755)))


def network():
    rows["interfaces"] = " ".join(sorted(name for _, name in socket.if_nameindex()))

    def loop():
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), timeout=5):
            pass

    rows["lo carries"] = attempt(loop)
    rows["bind port 80"] = attempt(lambda: socket.create_server(("127.0.0.1", 80)).close())


for part in (identity, files, calls, network):
    part()
if sys.argv[1] == "-":
    print(json.dumps(rows), flush=True)
else:
    with open(sys.argv[1] + ".new", "w") as out:
        json.dump(rows, out)
    os.rename(sys.argv[1] + ".new", sys.argv[1])
sys.stdin.read()
