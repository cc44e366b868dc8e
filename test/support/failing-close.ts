/** A file system that tells of what it could not write only when a file is closed, as NFS and quotas do. */

import { type ChildMount, mountByChild } from "./child-mount.js";
import { run } from "./run.js";

// One folder of files, served to the kernel by its own protocol: the first time that a file is closed whose name begins
// with "lost", that fails with the errno.
const SERVER = `
import ctypes, os, struct, sys
folder, errno = sys.argv[1], int(sys.argv[2])
fuse = os.open("/dev/fuse", os.O_RDWR)
libc = ctypes.CDLL(None, use_errno=True)
options = f"fd={fuse},rootmode=40755,user_id=0,group_id=0,default_permissions"
if libc.mount(b"toy", folder.encode(), b"fuse", 0, options.encode()):
    sys.exit("mount: " + os.strerror(ctypes.get_errno()))

class Node:
    def __init__(self, mode):
        self.mode, self.data, self.owner, self.times, self.lost = mode, bytearray(), (0, 0), [(0, 0), (0, 0)], False

nodes = {1: Node(0o040755)}
names = {}
next_node = 2

def attributes(number):
    node = nodes[number]
    (a, a_ns), (m, m_ns) = node.times
    return struct.pack("=6Q10I", number, len(node.data), 0, a, m, m, a_ns, m_ns, m_ns, node.mode, 1, *node.owner, 0, 4096, 0)

def entry(number):
    return struct.pack("=4Q2I", number, 0, 0, 0, 0, 0) + attributes(number)

def name_of(body):
    return body[:body.index(0)]

def answer(opcode, number, body):
    global next_node
    if opcode == 26:
        return struct.pack("=4I2H2I2H2I6I", 7, 31, 0, 0, 12, 9, 131072, 1, 0, 0, 0, 0, *[0] * 6)
    if opcode == 1:
        return entry(names[name_of(body)]) if name_of(body) in names else 2
    if opcode == 35:
        name = name_of(body[16:])
        if name in names:
            return 17
        nodes[next_node] = Node(struct.unpack_from("=I", body, 4)[0])
        nodes[next_node].lost = name.startswith(b"lost")
        names[name] = next_node
        next_node += 1
        return entry(names[name]) + struct.pack("=QII", 0, 0, 0)
    if opcode == 4:
        valid, _, _, size, _, a, m, _, a_ns, m_ns, _, mode, _, uid, gid, _ = struct.unpack_from("=IIQQQQQQIIIIIIII", body)
        node = nodes[number]
        if valid & 1: node.mode = mode
        if valid & 2: node.owner = (uid, node.owner[1])
        if valid & 4: node.owner = (node.owner[0], gid)
        if valid & 8: node.data = node.data[:size] + bytes(size - len(node.data[:size]))
        if valid & 16: node.times[0] = (a, a_ns)
        if valid & 32: node.times[1] = (m, m_ns)
    if opcode in (3, 4):
        return struct.pack("=QII", 0, 0, 0) + attributes(number)
    if opcode in (14, 27):
        return struct.pack("=QII", 0, 0, 0)
    if opcode in (15, 28):
        _, offset, size = struct.unpack_from("=QQI", body)
        if opcode == 15:
            return bytes(nodes[number].data[offset:offset + size])
        listed = b""
        for at, (name, node) in enumerate(sorted(names.items())):
            record = struct.pack("=QQII", node, at + 1, len(name), 8) + name
            record += bytes(-len(record) % 8)
            if at >= offset and len(listed) + len(record) <= size:
                listed += record
        return listed
    if opcode == 16:
        _, offset, size = struct.unpack_from("=QQI", body)
        data = nodes[number].data
        data.extend(bytes(max(0, offset - len(data))))
        data[offset:offset + size] = body[40:40 + size]
        return struct.pack("=II", size, 0)
    if opcode == 17:
        return struct.pack("=5Q4I6I", 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 4096, 255, 4096, 0, *[0] * 6)
    if opcode == 10:
        return b"" if names.pop(name_of(body), None) else 2
    if opcode == 12:
        name = name_of(body[8:])
        names[name_of(body[9 + len(name):])] = names.pop(name)
        return b""
    if opcode == 25:
        lost, nodes[number].lost = nodes[number].lost, False
        return errno if lost else b""
    return b"" if opcode in (18, 29) else 95 if opcode == 13 else 38

while True:
    try:
        request = os.read(fuse, 1 << 20)
    except FileNotFoundError:
        continue
    except OSError:
        break
    _, opcode, unique, number = struct.unpack_from("=IIQQ", request)
    if opcode in (2, 36, 42):
        continue
    reply = answer(opcode, number, request[40:])
    body, error = (reply, 0) if isinstance(reply, bytes) else (b"", -reply)
    try:
        os.write(fuse, struct.pack("=IiQ", 16 + len(body), error, unique) + body)
    except FileNotFoundError:
        pass
`;

/** Whether there are root, python3 and FUSE. */
export async function canMountFailingClose(): Promise<boolean> {
  const code = 'import os; os.open("/dev/fuse", os.O_RDWR); exit(os.geteuid())';
  const tried = await run("python3", ["-c", code]).catch(() => undefined);
  if (tried?.code === 0) return true;
  console.warn("SKIPPED: nothing can be mounted here; what file systems say only at close is not tested");
  return false;
}

/** @param errno what the first close of a file says whose name begins with "lost" */
export function mountWithFailingClose(errno: number): Promise<ChildMount> {
  return mountByChild((folder) => ["python3", "-c", SERVER, folder, `${errno}`]);
}
