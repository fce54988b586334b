"""Attacks on the sandbox from within. Prints one line for each: `contained` or `THROUGH`, `escape` or `surface`, its name, and
what came of it. An escape reaches something that is not the sandbox's; surface is a piece of kernel that should be out of reach.
The arguments name things of the machine outside, as JSON."""

import ctypes, errno, fcntl, json, mmap, os, resource, shutil, socket, struct, subprocess, sys

given = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
x86 = os.uname().machine == "x86_64"
NUMBERS = {  # x86_64, aarch64
    "clone": (56, 220), "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "fsopen": (430, 430), "open_tree": (428, 428), "clone3": (435, 435),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "keyctl": (250, 219), "add_key": (248, 217), "userfaultfd": (323, 282), "perf_event_open": (298, 241),
    "bpf": (321, 280), "io_uring_setup": (425, 425), "kexec_load": (246, 104), "init_module": (175, 105),
    "personality": (135, 92), "open_by_handle_at": (304, 265), "reboot": (169, 142), "sethostname": (170, 161),
    "settimeofday": (164, 170), "syslog": (103, 116), "fanotify_init": (300, 262), "getpid": (39, 172), "swapon": (167, 224),
}


def call(name, *arguments):
    """The result of a system call, or OSError."""
    ctypes.set_errno(0)
    number = NUMBERS[name][0 if x86 else 1]
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


ATTACKS = []


def attack(kind):
    def register(function):
        ATTACKS.append((kind, function.__name__, function))
    return register


def each(kind, cases, body):
    for name, *arguments in cases:
        ATTACKS.append((kind, name, lambda arguments=arguments: body(*arguments)))


def read(path):
    with open(path, "rb") as file:
        return file.read(200) or None


def write(path, text="x"):
    with open(path, "w") as file:
        file.write(text)
    return "written"


# --- Files that are not ours

@attack("escape")
def climb_out_by_an_inherited_file():
    # Comes first: 0, 1 and 2 are ours; a directory or socket beyond them would be a mistake of the helper.
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink("/proc/self/fd/" + name)
        except OSError:
            continue
        if int(name) > 2 and not target.startswith(("/proc/", "/dev/null")):
            found.append(target)
    return found or None


each("escape", [
    ("read shadow", "/etc/shadow"), ("read a file of the service", given["secret"]), ("read another sandbox", given["other"]),
    ("read the record of this sandbox", given["record"]), ("read environment of the first process", "/proc/1/environ"),
    ("read memory of the first process", "/proc/1/mem"), ("read maps of the first process", "/proc/1/maps"),
    ("read the kernel's memory", "/proc/kcore"), ("read the kernel's log", "/proc/kmsg"), ("open /dev/mem", "/dev/mem"),
    ("open /dev/kmsg", "/dev/kmsg"), ("open a disk", given["disk"]),
], read)

each("escape", [
    ("write a program", "/usr/bin/threadbox-was-here"), ("write accounts", "/etc/passwd"), ("write into the root", "/threadbox-was-here"),
    ("write into /dev", "/dev/threadbox-was-here"), ("write core_pattern", "/proc/sys/kernel/core_pattern"),
    ("write sysrq", "/proc/sysrq-trigger"), ("allow user namespaces", "/proc/sys/user/max_user_namespaces"),
    ("turn on forwarding", "/proc/sys/net/ipv4/ip_forward"), ("write a file of the service", given["secret"]),
], write)


@attack("escape")
def symlink_out_of_the_workspace():
    os.symlink(given["secret"], "link-out")
    return read("link-out")


@attack("escape")
def hard_link_to_a_system_file():
    os.link("/usr/bin/env", "linked-env")
    return "linked"


@attack("escape")
def climb_out_by_a_directory_handle():
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    up = os.open("../../../../..", os.O_PATH | os.O_DIRECTORY, dir_fd=root)
    return None if os.path.samestat(os.stat("/"), os.fstat(up)) else "somewhere else"


@attack("escape")
def climb_out_by_the_root_of_the_first_process():
    return os.listdir("/proc/1/root/")


@attack("escape")
def open_by_handle():
    handle = struct.pack("Ii", 8, 1) + struct.pack("II", 2, 0)
    buffer = ctypes.create_string_buffer(handle)
    return call("open_by_handle_at", os.open("/workspace", os.O_RDONLY), buffer, os.O_RDONLY)


@attack("escape")
def make_a_device_file():
    os.mknod("device", 0o60666, os.makedev(254, 0))
    return read("device")


@attack("escape")
def make_and_read_memory_device():
    os.mknod("memory", 0o20666, os.makedev(1, 1))
    return read("memory")


@attack("escape")
def set_user_id_program():
    shutil.copy("/bin/sh", "become")
    os.chmod("become", 0o6755)
    text = subprocess.run(["./become", "-p", "-c", "id -u; id -ru"], capture_output=True, text=True).stdout
    return text if set(text.split()) != {"1000"} else None


@attack("escape")
def set_user_id_programs_of_the_system():
    for program in ["/usr/bin/su", "/usr/bin/mount", "/usr/bin/passwd", "/usr/bin/newgrp", "/usr/bin/sudo"]:
        if os.path.exists(program) and os.stat(program).st_mode & 0o4000:
            status = subprocess.run(["/bin/sh", "-c", f"{program} --help >/dev/null 2>&1 & grep -h '^CapEff' /proc/$!/status"],
                                    capture_output=True, text=True).stdout.split()
            if status and int(status[-1], 16):
                return program
    return None


@attack("escape")
def become_root():
    for change in [lambda: os.setuid(0), lambda: os.setresuid(0, 0, 0), lambda: os.setgid(0), lambda: os.setgroups([0])]:
        try:
            change()
            return "changed"
        except OSError as error:
            last = error
    raise last


@attack("escape")
def hold_a_capability():
    for line in open("/proc/self/status"):
        if line.startswith(("CapEff", "CapPrm", "CapInh", "CapAmb")) and int(line.split()[1], 16):
            return line
    return None


# --- Mounts and namespaces

each("escape", [
    ("mount a tmpfs", "mount", b"tmpfs", b"/tmp", b"tmpfs", 0, None), ("bind the root", "mount", b"/", b"/tmp", None, 4096, None),
    ("make the root writable", "mount", None, b"/", None, 32 | 4096, None), ("mount proc", "mount", b"proc", b"/tmp", b"proc", 0, None),
    ("unmount /proc/sys", "umount2", b"/proc/sys", 2), ("unmount the root", "umount2", b"/", 2), ("pivot the root", "pivot_root", b"/", b"/tmp"),
    ("change the root", "chroot", b"/tmp"), ("new mount interface", "fsopen", b"tmpfs", 0), ("clone a mount", "open_tree", -100, b"/", 1),
    ("unshare the user namespace", "unshare", 0x10000000), ("unshare the mount namespace", "unshare", 0x20000),
    ("unshare the network namespace", "unshare", 0x40000000), ("unshare the pid namespace", "unshare", 0x20000000),
    ("set the host name", "sethostname", b"threadbox-was-here", 18), ("set the time", "settimeofday", struct.pack("qq", 1, 1), None),
    ("load a kernel", "kexec_load", 0, 0, None, 0), ("load a module", "init_module", b"", 0, b""), ("reboot", "reboot", -18751827, 672274793, 0, None),
    ("swap to a file", "swapon", b"/workspace/swap", 0),
], lambda name, *arguments: f"{name} = {call(name, *arguments)}")


def namespace_process(flags):
    pid = call("clone", flags | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "made"


each("escape", [("clone into a user namespace", 0x10000000), ("clone into a network namespace", 0x40000000)], namespace_process)


@attack("surface")
def clone3_whose_arguments_cannot_be_seen():
    arguments = ctypes.create_string_buffer(struct.pack("Q" * 11, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0))
    pid = call("clone3", arguments, 88)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "made"


@attack("escape")
def join_a_namespace_of_the_first_process():
    for kind in ["user", "mnt", "net", "pid"]:
        try:
            call("setns", os.open(f"/proc/1/ns/{kind}", os.O_RDONLY), 0)
            return kind
        except OSError as error:
            last = error
    raise last


@attack("escape")
def join_the_own_user_namespace_for_its_rights():
    return str(call("setns", os.open("/proc/self/ns/user", os.O_RDONLY), 0))


# --- Other processes

each("escape", [("attach to the first process", "ptrace", 16, 1, 0, 0), ("seize the first process", "ptrace", 0x4206, 1, 0, 0)],
     lambda name, *arguments: f"{name} = {call(name, *arguments)}")


@attack("escape")
def read_the_first_process():
    buffer = ctypes.create_string_buffer(8)
    local = struct.pack("QQ", ctypes.addressof(buffer), 8)
    remote = struct.pack("QQ", 0x400000, 8)
    return call("process_vm_readv", 1, local, 1, remote, 1, 0)


@attack("escape")
def take_a_file_of_the_first_process():
    return call("pidfd_getfd", call("pidfd_open", 1, 0), 0, 0)


@attack("escape")
def signal_a_process_of_the_machine():
    os.kill(given["pid"], 0)
    return given["pid"]


@attack("escape")
def end_the_first_process():
    # The kernel delivers no signal to it that it does not handle; what counts is that it goes on.
    os.kill(1, 15)
    os.kill(1, 9)
    os.kill(1, 19)
    return None


@attack("escape")
def see_processes_of_the_machine():
    seen = [pid for pid in os.listdir("/proc") if pid.isdigit()]
    return seen if len(seen) > 20 else None


@attack("escape")
def find_secrets_in_environments():
    allowed = {"PATH", "HOME", "USER", "LANG", "TERM", "PWD", "SHLVL", "_", "OLDPWD", "PYTHONPATH", "LC_CTYPE", "MPLBACKEND"}
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            names = {entry.split("=")[0] for entry in open(f"/proc/{pid}/environ").read().split("\0") if entry}
        except OSError:
            continue
        found += names - allowed
    return found or None


@attack("escape")
def raise_a_ceiling():
    if resource.getrlimit(resource.RLIMIT_NPROC)[1] == resource.RLIM_INFINITY:
        return "there is none"
    resource.setrlimit(resource.RLIMIT_NPROC, (1 << 20, 1 << 20))
    return "raised"


@attack("escape")
def survive_when_memory_runs_out():
    write("/proc/self/oom_score_adj", "-1000")
    return "protected"


@attack("escape")
def go_before_others():
    os.setpriority(os.PRIO_PROCESS, 0, -10)
    return "first"


# --- Network and sockets

def tcp(host, port):
    with socket.create_connection((host, port), 1) as connection:
        return str(connection.getpeername())


each("escape", [
    ("reach the loopback of the machine", "127.0.0.1", given["port"]), ("reach it by its other name", "0.0.0.0", given["port"]),
    ("reach it by IPv6", "::ffff:127.0.0.1", given["port"]),
    ("reach the addresses of clouds", "169.254.169.254", 80), ("reach the internet", "1.1.1.1", 443), ("reach IPv6", "2606:4700::1111", 443),
    ("reach the proxy's port", "127.0.0.1", 3128),
], tcp)


@attack("escape")
def send_a_packet():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", ("192.0.2.1", 53))
    return "sent"


@attack("escape")
def resolve_a_name():
    return socket.getaddrinfo("example.com", 80)


@attack("escape")
def connect_to_a_socket_of_the_machine():
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(given["socket"])
    return "connected"


@attack("escape")
def connect_to_an_abstract_socket():
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect("\0" + given["abstract"])
    return "connected"


def netlink_ack(sock, kind, flags, body):
    sock.send(struct.pack("IHHII", 16 + len(body), kind, flags | 5, 1, 0) + body)
    reply = sock.recv(4096)
    return struct.unpack_from("i", reply, 16)[0]


@attack("escape")
def change_the_loopback_by_netlink():
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as route:
        code = netlink_ack(route, 16, 0, struct.pack("BxHiII", 0, 0, 1, 0, 1))  # RTM_NEWLINK: turn lo off
        if code:
            raise OSError(-code, os.strerror(-code))
    return "changed"


@attack("escape")
def add_a_device_by_netlink():
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as route:
        kind = struct.pack("HH", 4 + 5, 1) + b"dummy\0\0\0"[:8]
        info = struct.pack("HH", 4 + len(kind), 18) + kind
        code = netlink_ack(route, 16, 0x600, struct.pack("BxHiII", 0, 0, 0, 0, 0) + info)
        if code:
            raise OSError(-code, os.strerror(-code))
    return "added"


def open_socket(*arguments):
    socket.socket(*arguments).close()
    return "opened"


each("surface", [
    ("raw socket", socket.AF_INET, socket.SOCK_RAW, 1), ("raw IPv6 socket", socket.AF_INET6, socket.SOCK_RAW, 58),
    ("packet socket", 17, socket.SOCK_RAW, 0), ("vsock", 40, socket.SOCK_STREAM, 0), ("crypto socket", 38, socket.SOCK_SEQPACKET, 0),
    ("bluetooth", 31, socket.SOCK_RAW, 1), ("key socket", 15, socket.SOCK_RAW, 2), ("XDP", 44, socket.SOCK_RAW, 0), ("TIPC", 30, socket.SOCK_STREAM, 0),
    ("ping socket", socket.AF_INET, socket.SOCK_DGRAM, 1), ("multipath TCP", socket.AF_INET, socket.SOCK_STREAM, 262), ("SCTP", socket.AF_INET, socket.SOCK_STREAM, 132),
    ("netlink uevents", 16, socket.SOCK_RAW, 15), ("netlink netfilter", 16, socket.SOCK_RAW, 12), ("netlink xfrm", 16, socket.SOCK_RAW, 6), ("netlink audit", 16, socket.SOCK_RAW, 9),
], open_socket)


# --- Pieces of kernel

each("surface", [
    ("io uring", "io_uring_setup", 4, ctypes.create_string_buffer(120)), ("keys of the session", "keyctl", 0, -3, 0),
    ("add a key", "add_key", b"user", b"threadbox", b"x", 1, -3), ("userfaultfd", "userfaultfd", 1), ("bpf", "bpf", 0, ctypes.create_string_buffer(struct.pack("IIII", 2, 4, 4, 1) + bytes(100)), 116),
    ("perf events", "perf_event_open", ctypes.create_string_buffer(struct.pack("II", 1, 112) + bytes(104)), 0, -1, -1, 0), ("kernel log", "syslog", 10, None, 0),
    ("fanotify", "fanotify_init", 0x200, 0), ("no random addresses", "personality", 0x40000), ("memory that runs", "personality", 0x400000),
    ("numbers of another interface", "getpid"),
], lambda name, *arguments: None if name == "getpid" and not x86 else (x32() if name == "getpid" else f"{name} = {call(name, *arguments)}"))


def x32():
    result = libc.syscall(ctypes.c_long(0x40000000 + 39))
    if result < 0:
        raise OSError(errno.ENOSYS, "not there")
    return result


@attack("surface")
def calls_of_32_bits():
    if not x86:
        return None
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # getpid of i386
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    child = os.fork()
    if child == 0:
        os._exit(0 if function() == os.getpid() else 1)
    return "called" if os.waitpid(child, 0)[1] == 0 else None


def push_into_terminal(request):
    ctypes.set_errno(0)
    if libc.ioctl(0, ctypes.c_ulong(request), b"x") == 0:
        return "pushed"
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


each("escape", [("push into the terminal", 0x5412), ("push into it with a longer number", 0x100005412), ("talk to the console", 0x541C)], push_into_terminal)


@attack("escape")
def a_terminal_of_the_machine():
    return read("/dev/tty") or read("/dev/console")


def run(function):
    try:
        found = function()
        return ("THROUGH", found) if found is not None else ("contained", "nothing")
    except OSError as error:
        return "contained", errno.errorcode.get(error.errno, error.errno)
    except Exception as error:
        return "contained", repr(error)


for kind, name, function in ATTACKS:
    verdict, detail = run(function)
    print(verdict, kind, name.replace("_", " ") + ":", str(detail)[:100].replace("\n", " "), flush=True)
print("all", len(ATTACKS))
