/*
 * Runs a command and interferes with one of its system calls.
 *
 *     inject REPORT CLASS N ACTION COMMAND...
 *
 * CLASS  change: calls that change a file system; read: opens, reads and listings below the tree; thread: calls that
 *        start a thread or a process; memory: calls that ask for memory.
 * N      which of these calls, counted over all threads from 1; 0 for none (all are reported then).
 * ACTION kill: the process is gone before the call; short: one byte is written; E28: the call fails with errno 28;
 *        S28: this call and all later ones of the class do.
 *
 * strace injects too, but counts by thread: what the n-th call of a worker does, it cannot single out. Here a seccomp
 * filter stops the process at calls of the class alone, which costs next to nothing.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CREATES = 1, FD = 2, AT = 4, PATH = 8, WRITES = 16, READS = 32, THREADS = 64, MEMORY = 128 };

static const struct call {
	int nr;
	const char *name;
	int kind;
} calls[] = {
	{ SYS_openat, "openat", CREATES | AT },
	{ SYS_openat2, "openat2", CREATES | AT },
	{ SYS_write, "write", WRITES | FD },
	{ SYS_pwrite64, "pwrite64", WRITES | FD },
	{ SYS_writev, "writev", WRITES | FD },
	{ SYS_fsync, "fsync", FD },
	{ SYS_fdatasync, "fdatasync", FD },
	{ SYS_syncfs, "syncfs", FD },
	{ SYS_fchown, "fchown", FD },
	{ SYS_fchownat, "fchownat", AT },
	{ SYS_fchmod, "fchmod", FD },
	{ SYS_fchmodat, "fchmodat", AT },
	{ SYS_fsetxattr, "fsetxattr", FD },
	{ SYS_fremovexattr, "fremovexattr", FD },
	{ SYS_renameat, "renameat", AT },
	{ SYS_renameat2, "renameat2", AT },
	{ SYS_unlinkat, "unlinkat", AT },
	{ SYS_mkdirat, "mkdirat", AT },
	{ SYS_mknodat, "mknodat", AT },
	{ SYS_linkat, "linkat", AT },
	{ SYS_symlinkat, "symlinkat", PATH },
	{ SYS_utimensat, "utimensat", AT },
	{ SYS_ftruncate, "ftruncate", FD },
	{ SYS_fallocate, "fallocate", FD },
	{ SYS_copy_file_range, "copy_file_range", FD },
	{ SYS_sendfile, "sendfile", FD },
	{ SYS_read, "read", READS | FD },
	{ SYS_getdents64, "getdents64", READS | FD },
	{ SYS_clone, "clone", THREADS },
	{ SYS_clone3, "clone3", THREADS },
	{ SYS_mmap, "mmap", MEMORY },
	{ SYS_mremap, "mremap", MEMORY },
	{ SYS_brk, "brk", MEMORY },
#ifdef __x86_64__
	{ SYS_fork, "fork", THREADS },
	{ SYS_vfork, "vfork", THREADS },
	{ SYS_open, "open", CREATES | PATH },
	{ SYS_creat, "creat", PATH },
	{ SYS_chown, "chown", PATH },
	{ SYS_lchown, "lchown", PATH },
	{ SYS_chmod, "chmod", PATH },
	{ SYS_rename, "rename", PATH },
	{ SYS_unlink, "unlink", PATH },
	{ SYS_rmdir, "rmdir", PATH },
	{ SYS_mkdir, "mkdir", PATH },
	{ SYS_link, "link", PATH },
	{ SYS_symlink, "symlink", PATH },
#endif
};
#define CALLS (sizeof calls / sizeof calls[0])

static void die(const char *what)
{
	perror(what);
	exit(125);
}

static void filter(void)
{
	struct sock_filter code[2 * CALLS + 2];
	size_t at = 0;

	code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < CALLS; i++) {
		code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i].nr, 0, 1);
		code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
	}
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { (unsigned short)at, code };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		die("seccomp");
}

static void peek(pid_t tid, uint64_t from, void *to, size_t size)
{
	struct iovec local = { to, size }, remote = { (void *)(uintptr_t)from, size };
	ssize_t got = process_vm_readv(tid, &local, 1, &remote, 1, 0);

	memset((char *)to + (got > 0 ? got : 0), 0, size - (got > 0 ? (size_t)got : 0));
}

/* A string may end at the end of a page: never more than that is read. */
static void text(pid_t tid, uint64_t from, char *to, size_t size)
{
	size_t page = 4096 - from % 4096;

	peek(tid, from, to, page < size - 1 ? page : size - 1);
	to[page < size - 1 ? page : size - 1] = 0;
}

static void name_of(pid_t tid, int fd, char *to, size_t size)
{
	char link[64];

	snprintf(link, sizeof link, fd == AT_FDCWD ? "/proc/%d/cwd" : "/proc/%d/fd/%d", tid, fd);
	ssize_t got = readlink(link, to, size - 1);
	to[got > 0 ? got : 0] = 0;
}

/* What the call is about, or 0 when it is none of the class. */
static int concerns(pid_t tid, const struct call *call, const uint64_t *args, int class, char *what, size_t size)
{
	char dir[2048] = "", path[1024] = "";
	uint64_t flags = 0;
	int reads = class == READS;

	if ((call->kind | class) & (THREADS | MEMORY)) {
		/* A file that is mapped is the loader's. */
		if (!(call->kind & class) || (call->nr == SYS_mmap && (int)args[4] != -1))
			return 0;
		snprintf(what, size, "%s", call->name);
		return 1;
	}
	if (call->kind & CREATES) {
		struct open_how how = { 0 };
		if (call->nr == SYS_openat2)
			peek(tid, args[2], &how, sizeof how);
		flags = call->nr == SYS_openat2 ? how.flags : args[call->kind & PATH ? 1 : 2];
		int creates = flags & (O_CREAT | O_TRUNC);
		int anywhere = call->kind & PATH || (int)args[0] == AT_FDCWD;
		if (reads ? creates || anywhere : !creates)
			return 0;
	} else if (reads != !!(call->kind & READS)) {
		return 0;
	}
	if (call->kind & (FD | AT))
		name_of(tid, (int)args[0], dir, sizeof dir);
	if (call->kind & FD) {
		/* Pipes, sockets and events are nothing on a disk; /proc and the like no part of the tree. */
		if (dir[0] != '/' || (!strncmp(dir, "/dev/", 5) && strncmp(dir, "/dev/shm/", 9)) || !strncmp(dir, "/proc/", 6) || !strncmp(dir, "/sys/", 5))
			return 0;
		if (call->kind & READS && (strstr(dir, "/lib") || strstr(dir, ".json") || strstr(dir, "ld.so")))
			return 0;
	}
	if (call->kind & AT && args[1])
		text(tid, args[1], path, sizeof path);
	if (call->kind & PATH)
		text(tid, args[0], path, sizeof path);
	snprintf(what, size, "%s %s%s%s", call->name, dir, path[0] && dir[0] ? "/" : "", path);
	return 1;
}

#ifdef __x86_64__
static void fail(pid_t tid, int number)
{
	ptrace(PTRACE_POKEUSER, tid, offsetof(struct user_regs_struct, orig_rax), -1L);
	ptrace(PTRACE_POKEUSER, tid, offsetof(struct user_regs_struct, rax), (long)-number);
}

static void shorten(pid_t tid)
{
	ptrace(PTRACE_POKEUSER, tid, offsetof(struct user_regs_struct, rdx), 1L);
}
#elif defined __aarch64__
static void set_register(pid_t tid, int number, uint64_t value)
{
	struct user_regs_struct regs;
	struct iovec io = { &regs, sizeof regs };

	ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &io);
	regs.regs[number] = value;
	ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &io);
}

static void fail(pid_t tid, int number)
{
	int none = -1;
	struct iovec io = { &none, sizeof none };

	ptrace(PTRACE_SETREGSET, tid, NT_ARM_SYSTEM_CALL, &io);
	set_register(tid, 0, (uint64_t)-number);
}

static void shorten(pid_t tid)
{
	set_register(tid, 2, 1);
}
#else
#error "only x86_64 and aarch64"
#endif

int main(int count, char **words)
{
	if (count < 6) {
		fputs("usage: inject REPORT CLASS N ACTION COMMAND...\n", stderr);
		return 125;
	}
	FILE *report = fopen(words[1], "we");
	int class = !strcmp(words[2], "read")   ? READS
		    : !strcmp(words[2], "thread") ? THREADS
		    : !strcmp(words[2], "memory") ? MEMORY
						  : 0;
	long wanted = atol(words[3]), seen = 0;
	const char *action = words[4];

	if (!report)
		die(words[1]);
	pid_t child = fork();
	if (child < 0)
		die("fork");
	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		filter();
		execv(words[5], words + 5);
		die(words[5]);
	}
	int status;
	if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
		die("waitpid");
	long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
		       PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	if (ptrace(PTRACE_SETOPTIONS, child, 0, options) || ptrace(PTRACE_CONT, child, 0, 0))
		die("ptrace");
	for (;;) {
		pid_t tid = waitpid(-1, &status, __WALL);
		if (tid < 0)
			die("waitpid");
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (tid != child)
				continue;
			fclose(report);
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		}
		long forward = 0;
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8)) {
			struct __ptrace_syscall_info info;
			char what[4096];
			if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) < 0)
				continue;
			const struct call *call = calls;
			while (call < calls + CALLS && (uint64_t)call->nr != info.seccomp.nr)
				call++;
			if (call < calls + CALLS && concerns(tid, call, info.seccomp.args, class, what, sizeof what)) {
				seen++;
				int hit = seen == wanted || (*action == 'S' && wanted && seen > wanted);
				int is_write = !!(call->kind & WRITES);
				if (!wanted || seen == wanted)
					fprintf(report, "%ld %s\n", seen, what);
				if (hit && !strcmp(action, "kill")) {
					fclose(report);
					kill(child, SIGKILL);
					while (waitpid(-1, &status, __WALL) >= 0 || errno == EINTR)
						;
					return 128 + SIGKILL;
				}
				if (hit && !strcmp(action, "short") && is_write && info.seccomp.args[2] > 1)
					shorten(tid);
				if (hit && (*action == 'E' || *action == 'S'))
					fail(tid, atoi(action + 1));
			}
		} else if (WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != SIGSTOP) {
			forward = WSTOPSIG(status);
		}
		ptrace(PTRACE_CONT, tid, 0, forward);
	}
}
