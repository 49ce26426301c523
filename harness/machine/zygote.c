// SPDX-License-Identifier: GPL-2.0-only
/*
 * Preloaded into QEMU: forks it as it is, with all of its threads.
 *
 * A guest that was loaded from a saved state has to be translated anew from its first
 * instruction on, which takes most of a short case's time. A fork of a QEMU that runs already
 * inherits its translations, as it inherits the guest's memory: copy-on-write.
 *
 * fork(2) keeps the calling thread alone. So every other thread is made to enter a signal
 * handler and to wait there. The child then has their stacks, with the frame that the kernel
 * wrote there for the signal: all registers, as they were. For each of them it makes a new
 * thread which has the old one's thread-local storage, and whose first deed is to return from
 * that signal. Nothing is known here of QEMU, and no thread of it notices more than an
 * interrupted system call.
 *
 * What parent and child must not share is told with the request: descriptors that take the
 * places of the parent's. Event descriptors, which only wake threads of the same process, are
 * made anew without being asked for.
 *
 * On a SOCK_SEQPACKET socket, whose number is in LAB_ZYGOTE:
 *
 *	"fork", then a line for each descriptor that comes with the message: the number it is to
 *	have, or the path of the file in whose place it is to be
 *		-> "PID", with a descriptor of the child (pidfd_open(2)), or "error WHAT"
 *	"reap PID" -> "STATUS", as of wait(2), once the child has ended
 *
 * Between the first thread's stop and the last one's return nothing may be asked of the C
 * library that takes a lock (memory, streams): a thread that stands may hold it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef __x86_64__
#error "threads are revived with x86-64's signal frames"
#endif

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* glibc's own, for setuid() in threads: no program can block it, and QEMU is past any setuid(). */
#define STOP_SIGNAL	33
#define THREADS_MAX	64
#define FDS_MAX		16
#define STOP_SECONDS	1
#define TRIES		4
#define SA_RESTORER	0x04000000
#define X32_BIT		0x40000000

struct standing {
	void *frame;		/* where its stack pointer must be for sigreturn(2) */
	unsigned long tls;	/* which is the address of its pthread, too */
	pid_t tid;
};

static struct standing standing[THREADS_MAX];
static atomic_int places;	/* of ``standing`` that are taken */
static atomic_int stands;	/* threads that stand, their places filled */
static atomic_int round;	/* odd while threads are to stand; they do as long as it stays the same */
static int control;

struct kernel_sigaction {
	void (*handler)(int signal, siginfo_t *info, void *frame);
	unsigned long flags;
	void (*restorer)(void);
	unsigned long mask;
};

void zygote_restorer(void) __attribute__((visibility("hidden")));
asm(".globl zygote_restorer\nzygote_restorer:\n\tmov $15, %eax\n\tsyscall\n");

/* Not syscall(3): a thread that stands keeps its errno. */
static long raw(long number, long a, long b, long c, long d)
{
	register long r10 asm("r10") = d;
	long ret;

	asm volatile("syscall"
		     : "=a"(ret)
		     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
		     : "rcx", "r11", "memory");
	return ret;
}

static void wait_while(atomic_int *word, int value, const struct timespec *patience)
{
	raw(SYS_futex, (long)word, FUTEX_WAIT_PRIVATE, value, (long)patience);
}

static void wake(atomic_int *word)
{
	raw(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, THREADS_MAX, 0);
}

/* The signal's handler: this thread stands. In the parent it goes on from here, in the child it never comes back. */
static void stand(int signal, siginfo_t *info, void *frame)
{
	int now = atomic_load(&round), place;

	if (!(now & 1))
		return;		/* the signal came too late for its round */
	place = atomic_fetch_add(&places, 1);
	if (place < THREADS_MAX) {
		standing[place].frame = frame;
		standing[place].tls = (unsigned long)pthread_self();
		standing[place].tid = raw(SYS_gettid, 0, 0, 0, 0);
	}
	atomic_fetch_add(&stands, 1);
	wake(&stands);
	while (atomic_load(&round) == now)
		wait_while(&round, now, NULL);
}

static void go_on(void)
{
	atomic_fetch_add(&round, 1);
	wake(&round);
}

/* The first pthread_create() of a process takes the signal for glibc: so this is said each time. */
static bool take_signal(void)
{
	struct kernel_sigaction action = {
		.handler = stand,
		.flags = SA_SIGINFO | SA_RESTART | SA_RESTORER,
		.restorer = zygote_restorer,
		.mask = ~0UL,
	};

	return !raw(SYS_rt_sigaction, STOP_SIGNAL, (long)&action, 0, sizeof(action.mask));
}

struct entry {	/* of getdents64(2) */
	unsigned long long inode, offset;
	unsigned short length;
	unsigned char type;
	char name[];
};

/* Calls back for every name of a folder that is a number; what they add up to, -1 when it cannot be read. */
static int each_number(const char *folder, int (*visit)(int number, void *data), void *data)
{
	char names[4096] __attribute__((aligned(8)));
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), sum = 0;
	long size, at;

	if (fd < 0)
		return -1;
	while ((size = raw(SYS_getdents64, fd, (long)names, sizeof(names), 0)) > 0) {
		for (at = 0; at < size; at += ((struct entry *)(names + at))->length) {
			const char *name = ((struct entry *)(names + at))->name;

			if (*name >= '0' && *name <= '9' && atoi(name) != fd)
				sum += visit(atoi(name), data);
		}
	}
	close(fd);
	return size < 0 ? -1 : sum;
}

static int stop_thread(int tid, void *pid)
{
	return tid != gettid() && !raw(SYS_tgkill, *(pid_t *)pid, tid, STOP_SIGNAL, 0);
}

static int is_thread(int tid, void *unused)
{
	return 1;
}

/* A thread that comes or goes meanwhile makes it fail: then it is worth another try. */
static bool stop_threads(void)
{
	struct timespec patience = { .tv_sec = STOP_SECONDS };
	pid_t pid = getpid();
	int asked, now;

	atomic_store(&places, 0);
	atomic_store(&stands, 0);
	atomic_fetch_add(&round, 1);
	asked = each_number("/proc/self/task", stop_thread, &pid);
	if (asked < 0)
		return false;
	while ((now = atomic_load(&stands)) < asked) {
		wait_while(&stands, now, &patience);
		if (atomic_load(&stands) == now)
			break;
	}
	return now == asked && asked < THREADS_MAX && each_number("/proc/self/task", is_thread, NULL) == asked + 1;
}

/* glibc keeps a thread's number at the thread's own address: join, locks of an owner and signals go by it. */
static pid_t *number_of(unsigned long tls, pid_t tid)
{
	pid_t *word = (pid_t *)tls;
	int i;

	for (i = 0; i < 1024 / (int)sizeof(*word); i++)
		if (word[i] == tid)
			return &word[i];
	return NULL;
}

/* A new thread on the old one's stack: it returns from the signal, and is where the old one was. */
static bool revive(const struct standing *old)
{
	unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
			      CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
	pid_t *number = number_of(old->tls, old->tid);
	register long r10 asm("r10") = (long)number;
	register long r8 asm("r8") = old->tls;
	long ret;

	if (!number)
		return false;
	asm volatile("syscall\n\t"
		     "test %%rax, %%rax\n\t"
		     "jnz 1f\n\t"
		     "mov $15, %%eax\n\t"
		     "syscall\n"
		     "1:"
		     : "=a"(ret)
		     : "a"(SYS_clone), "D"(flags), "S"(old->frame), "d"(number), "r"(r10), "r"(r8)
		     : "rcx", "r11", "memory");
	return ret > 0;
}

static bool filter(const struct sock_filter *code, unsigned short length)
{
	struct sock_fprog program = { .len = length, .filter = (struct sock_filter *)code };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

#define LOAD(field)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ON(number, act)	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, act)

/*
 * What QEMU's own "-sandbox spawn=deny" does, in two steps, since the parent has to fork. A guest that breaks out
 * starts no program, and in a fork no process either. (clone3(2) hides its flags from a filter: glibc does without.)
 */
static bool deny_programs(void)
{
	static const struct sock_filter code[] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
		/* x32: the same calls under other numbers */
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		ON(SYS_execve, SECCOMP_RET_KILL_PROCESS),
		ON(SYS_execveat, SECCOMP_RET_KILL_PROCESS),
		ON(SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return filter(code, ARRAY_SIZE(code));
}

static bool deny_processes(void)
{
	static const struct sock_filter code[] = {
		LOAD(nr),
		ON(SYS_fork, SECCOMP_RET_KILL_PROCESS),
		ON(SYS_vfork, SECCOMP_RET_KILL_PROCESS),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
		LOAD(args[0]),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return filter(code, ARRAY_SIZE(code));
}

static void put(int from, int to)
{
	dup3(from, to, fcntl(to, F_GETFD) & FD_CLOEXEC ? O_CLOEXEC : 0);
}

static bool link_of(int fd, char *target, size_t size)
{
	char path[64];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = readlink(path, target, size - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	return true;
}

/* A descriptor of the parent that the child is given another one for. */
struct exchange {
	const char *path;
	int fd;
};

static int put_in_place(int fd, void *data)
{
	const struct exchange *one = data;
	char target[4096];

	if (fd == one->fd || !link_of(fd, target, sizeof(target)) || strcmp(target, one->path))
		return 0;
	put(one->fd, fd);
	return 1;
}

static unsigned long long events_of(int fd)
{
	char path[64], text[256];
	const char *count;
	ssize_t length;
	int info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	length = read(info, text, sizeof(text) - 1);
	close(info);
	text[length > 0 ? length : 0] = '\0';
	count = strstr(text, "eventfd-count:");
	return count ? strtoull(count + strlen("eventfd-count:"), NULL, 16) : 0;
}

static int renew_events(int fd, void *unused)
{
	char target[64];
	int new;

	if (!link_of(fd, target, sizeof(target)) || strcmp(target, "anon_inode:[eventfd]"))
		return 0;
	new = eventfd(0, EFD_CLOEXEC | (fcntl(fd, F_GETFL) & O_NONBLOCK ? EFD_NONBLOCK : 0));
	if (events_of(fd))
		eventfd_write(new, events_of(fd));
	put(new, fd);
	close(new);
	return 1;
}

/* Shared rings and interest lists belong to the parent: QEMU uses none where this was tried, and must not begin to. */
static int is_shared(int fd, void *unused)
{
	char target[64], path[64], text[512];
	ssize_t length;
	int info;

	if (!link_of(fd, target, sizeof(target)))
		return 0;
	if (strcmp(target, "anon_inode:[eventpoll]"))
		return !strcmp(target, "anon_inode:[io_uring]");
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	length = read(info, text, sizeof(text) - 1);
	close(info);
	text[length > 0 ? length : 0] = '\0';
	return strstr(text, "tfd:") != NULL;
}

/* ``text``: a line for each of the descriptors. */
static bool exchange(char *text, const int *fds, int count)
{
	char *rest = text, *line;
	int i;

	for (i = 0; i < count; i++) {
		struct exchange one = { .fd = fds[i] };

		line = strsep(&rest, "\n");
		if (!line)
			return false;
		one.path = line;
		if (*line != '/')
			put(fds[i], atoi(line));
		else if (each_number("/proc/self/fd", put_in_place, &one) < 1)
			return false;
		close(fds[i]);
	}
	return each_number("/proc/self/fd", renew_events, NULL) >= 0;
}

static _Noreturn void live(char *text, const int *fds, int count, pid_t old)
{
	pid_t *number = number_of((unsigned long)pthread_self(), old);
	int i, threads = atomic_load(&stands);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(control);
	if (!number || !exchange(text, fds, count) || !deny_processes())
		_exit(126);
	*number = gettid();
	atomic_fetch_add(&round, 1);	/* nobody is to stand here */
	for (i = 0; i < threads; i++)
		if (!revive(&standing[i]))
			_exit(126);
	/* The process ends when QEMU says so; until then its first thread, which is this one, must not. */
	for (;;)
		pause();
}

/* The child's number, or 0 with ``error`` set. */
static pid_t fork_all(char *text, const int *fds, int count, const char **error)
{
	pid_t old = gettid(), pid = 0;
	int tries;

	*error = "a descriptor that cannot be shared is open";
	if (each_number("/proc/self/fd", is_shared, NULL))
		return 0;
	*error = "not all threads stand";
	if (!take_signal())
		return 0;
	for (tries = 0; tries < TRIES && !pid; tries++) {
		if (stop_threads()) {
			*error = "clone";
			pid = raw(SYS_clone, 0, 0, 0, 0);
			if (!pid)
				live(text, fds, count, old);
		}
		go_on();
	}
	return pid > 0 ? pid : 0;
}

static void answer(const char *text, int fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} extra = { .space = { 0 } };
	struct iovec part = { .iov_base = (void *)text, .iov_len = strlen(text) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *header;

		message.msg_control = extra.space;
		message.msg_controllen = sizeof(extra.space);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	}
	sendmsg(control, &message, MSG_NOSIGNAL);
}

static void answer_fork(char *text, const int *fds, int count)
{
	const char *error = "";
	char line[128];
	pid_t pid = fork_all(text, fds, count, &error);
	int fd = pid ? syscall(SYS_pidfd_open, pid, 0) : -1;

	if (pid && fd >= 0)
		snprintf(line, sizeof(line), "%d", pid);
	else
		snprintf(line, sizeof(line), "error %s", pid ? "pidfd_open" : error);
	answer(line, fd);
	if (fd >= 0)
		close(fd);
}

static void answer_reap(pid_t pid)
{
	char line[32];
	int status = 0;

	if (waitpid(pid, &status, __WALL) != pid)
		status = SIGKILL;
	snprintf(line, sizeof(line), "%d", status);
	answer(line, -1);
}

static int take_fds(struct msghdr *message, int *fds)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	int count;

	if (!header || header->cmsg_type != SCM_RIGHTS)
		return 0;
	count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds, CMSG_DATA(header), count * sizeof(int));
	return count;
}

static void *serve(void *unused)
{
	union {
		char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} extra;
	char text[8192];
	int fds[FDS_MAX], count, i;

	for (;;) {
		struct iovec part = { .iov_base = text, .iov_len = sizeof(text) - 1 };
		struct msghdr message = {
			.msg_iov = &part, .msg_iovlen = 1,
			.msg_control = extra.space, .msg_controllen = sizeof(extra.space),
		};
		ssize_t length = recvmsg(control, &message, MSG_CMSG_CLOEXEC);

		if (length < 0 && errno == EINTR)
			continue;
		if (length <= 0)
			_exit(0);	/* whoever forks from it is gone */
		text[length] = '\0';
		count = take_fds(&message, fds);
		if (!strncmp(text, "fork\n", 5))
			answer_fork(text + 5, fds, count);
		else if (!strncmp(text, "reap ", 5))
			answer_reap(atoi(text + 5));
		for (i = 0; i < count; i++)
			close(fds[i]);
	}
}

/* QEMU wants the guest's memory to be in no child of its own: here it is what the child is for. */
int madvise(void *address, size_t length, int advice)
{
	return advice == MADV_DONTFORK ? 0 : syscall(SYS_madvise, address, length, advice);
}

__attribute__((constructor)) static void start(void)
{
	const char *number = getenv("LAB_ZYGOTE");
	pthread_t thread;

	if (!number)
		return;
	control = atoi(number);
	fcntl(control, F_SETFD, FD_CLOEXEC);
	unsetenv("LAB_ZYGOTE");
	unsetenv("LD_PRELOAD");
	if (!deny_programs() || pthread_create(&thread, NULL, serve, NULL)) {
		fprintf(stderr, "zygote: cannot begin: %s\n", strerror(errno));
		_exit(126);
	}
}
