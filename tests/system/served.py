"""A file system that a program serves, as sshfs, or a machine, as NFS: it shows a directory, and can misbehave.

    served.py squash DIRECTORY MOUNTPOINT   root is nobody there, as on an NFS server with root_squash
    served.py hang DIRECTORY MOUNTPOINT     while the file MOUNTPOINT.hang exists, nothing is answered
    served.py own DIRECTORY MOUNTPOINT      as hang, mounted by its real user for nobody else

It needs /dev/fuse and Debian's python3-fusepy, so it is for /usr/bin/python3. It runs until it is killed.
"""

import errno
import os
import sys
import time

import fusepy as fuse

NOBODY = 65534
mode, source, mountpoint = sys.argv[1:4]


def caller():
    """Acts as whoever asks: the kernel of the real file system then decides what is allowed."""
    uid, gid, _ = fuse.fuse_get_context()
    os.seteuid(0)
    if mode == "squash" and uid == 0:
        uid = gid = NOBODY
    os.setgroups([])
    os.setegid(gid)
    os.seteuid(uid)


def answered(call):
    def wrapped(self, path, *rest):
        while mode in ("hang", "own") and os.path.exists(mountpoint + ".hang"):
            time.sleep(0.1)
        caller()
        return call(self, source + path, *rest)

    return wrapped


class Served(fuse.Operations):
    @answered
    def getattr(self, path, fh=None):
        found = os.lstat(path)
        keys = ["st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_atime", "st_mtime", "st_ctime", "st_ino"]
        return {key: getattr(found, key) for key in keys}

    @answered
    def readdir(self, path, fh):
        return [".", "..", *os.listdir(path)]

    @answered
    def access(self, path, amode):
        if not os.access(path, amode, effective_ids=True):
            raise fuse.FuseOSError(errno.EACCES)

    @answered
    def open(self, path, flags):
        return os.open(path, flags & ~os.O_NOFOLLOW)

    @answered
    def create(self, path, mode, fi=None):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    @answered
    def read(self, path, size, offset, fh):
        return os.pread(fh, size, offset)

    @answered
    def write(self, path, data, offset, fh):
        return os.pwrite(fh, data, offset)

    @answered
    def truncate(self, path, length, fh=None):
        os.truncate(path, length)

    @answered
    def release(self, path, fh):
        os.close(fh)

    @answered
    def fsync(self, path, datasync, fh):
        os.fsync(fh)

    @answered
    def mkdir(self, path, mode):
        os.mkdir(path, mode)

    @answered
    def rmdir(self, path):
        os.rmdir(path)

    @answered
    def unlink(self, path):
        os.unlink(path)

    @answered
    def rename(self, old, new):
        os.rename(old, source + new)

    @answered
    def chmod(self, path, mode):
        os.chmod(path, mode)

    @answered
    def chown(self, path, uid, gid):
        # -1 comes as a number without a sign.
        ids = [-1 if number == 0xFFFFFFFF else number for number in (uid, gid)]
        os.chown(path, *ids, follow_symlinks=False)

    @answered
    def utimens(self, path, times=None):
        os.utime(path, times)

    @answered
    def statfs(self, path):
        found = os.statvfs(path)
        return {key: getattr(found, key) for key in ["f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_namemax"]}


fuse.FUSE(
    Served(),
    mountpoint,
    foreground=True,
    allow_other=mode != "own",
    # Who acts as others does so alone.
    nothreads=True,
    use_ino=True,
    attr_timeout=0,
    entry_timeout=0,
)
