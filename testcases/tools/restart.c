// SPDX-License-Identifier: GPL-2.0
/*
 * restart: make the tasks of an image, and let them become what it says.
 *
 * The kernel restores tasks, but does not make them. This program reads from
 * the image which tasks there are, and makes each of them by the one that is
 * its parent, with its number, session, process group and threads. Zombies end
 * as they did. Then every task calls restart(), and the coordinator, which is
 * this program itself, does so too and waits for them.
 *
 * Until then the tasks speak by a page that they share, and that is gone when
 * they have got their memory.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>

#include "checkpoint.h"

static void usage(FILE *to)
{
	fputs("usage: restart [--self] [-dk] [-t TERMINAL] [-i IMAGE] [-l LOG]\n"
	      "  --self    the image is of one task; this process becomes it\n"
	      "  -d        do not wait for the root of the tree to end\n"
	      "  -k        keep the names that the checkpoint gave to unlinked files, for another restart\n"
	      "  -t TERMINAL  is that of the session that the root of the tree begins\n"
	      "  -i IMAGE  read the image from this file; default: standard input\n"
	      "  -l LOG    write what the kernel has to say to this file; default: standard error\n"
	      "On success the exit status is that of the task, or of the root of the tree.\n", to);
}

static int fail(const char *what)
{
	const char *name = strerrorname_np(errno);

	fprintf(stderr, "restart: %s: %s (%s)\n", what, name ? name : "?", strerror(errno));
	return EXIT_FAILURE;
}

#ifdef CKPT_TASKS_MAX

/* More than the records before the first task's part can have. */
#define PREFIX_MAX (sizeof(struct ckpt_hdr_proc) * CKPT_TASKS_MAX + (1 << 16))
#define STACK_SIZE (64 * 1024)

/* What all processes have done before the next of it may begin. */
enum phase {
	MADE,		/* all processes exist, in their sessions */
	LED,		/* all process groups exist */
	READY,		/* groups are joined, zombies are dead, threads exist */
	NR_PHASES
};

/* Shared by all processes. */
struct board {
	_Atomic unsigned int done[NR_PHASES];
	_Atomic unsigned int go;
	_Atomic unsigned int failed;
	char why[256];
	_Atomic int pid[];	/* made so far, by the place in the image */
};

static struct {
	int image;
	struct ckpt_hdr_proc *proc;
	unsigned int nr_procs, nr_processes, nr_zombies;
	struct board *board;
	const char *terminal;
	/* What was read of a stream before the kernel could. */
	char *prefix;
	size_t prefix_length;
} tree;

static void futex_wait(_Atomic unsigned int *word, unsigned int value)
{
	struct timespec second = { .tv_sec = 1 };

	syscall(SYS_futex, word, FUTEX_WAIT, value, &second, NULL, 0);
}

static void futex_wake(_Atomic unsigned int *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* The first to fail says why; the coordinator ends all others. */
__attribute__((noreturn, format(printf, 1, 2)))
static void give_up(const char *format, ...)
{
	unsigned int none = 0;
	va_list arguments;

	if (atomic_compare_exchange_strong(&tree.board->failed, &none, 1)) {
		va_start(arguments, format);
		vsnprintf(tree.board->why, sizeof(tree.board->why), format, arguments);
		va_end(arguments);
		atomic_store(&tree.board->failed, 2);
	}
	for (int phase = 0; phase < NR_PHASES; phase++)
		futex_wake(&tree.board->done[phase]);
	_exit(EXIT_FAILURE);
}

static bool is_zombie(const struct ckpt_hdr_proc *proc)
{
	return proc->flags & CKPT_PROC_ZOMBIE;
}

static bool is_thread(const struct ckpt_hdr_proc *proc)
{
	return proc->pid != proc->tgid;
}

/*
 * Reading
 */

static bool read_all(int fd, void *buffer, size_t length)
{
	char *at = buffer;

	while (length) {
		ssize_t n = read(fd, at, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		length -= n;
	}
	return true;
}

static bool write_all(int fd, const void *buffer, size_t length)
{
	const char *at = buffer;

	while (length) {
		ssize_t n = write(fd, at, length);

		if (n < 0)
			return false;
		at += n;
		length -= n;
	}
	return true;
}

/* The next record, which is kept in tree.prefix; NULL when it is none of that type and length. */
static void *next_record(uint32_t type, size_t length)
{
	struct ckpt_hdr *head = (struct ckpt_hdr *)(tree.prefix + tree.prefix_length);

	if (tree.prefix_length + length > PREFIX_MAX || !read_all(tree.image, head, sizeof(*head)))
		return NULL;
	tree.prefix_length += sizeof(*head);
	if (head->type != type || head->len != length || !read_all(tree.image, head + 1, length - sizeof(*head)))
		return NULL;
	tree.prefix_length += length - sizeof(*head);
	return head;
}

/* Which tasks there are. Whether it makes sense is for the kernel to say. */
static bool read_tree(void)
{
	const struct ckpt_hdr_header *header;
	const struct ckpt_hdr_tree *head;

	tree.prefix = malloc(PREFIX_MAX);
	if (!tree.prefix)
		return false;
	header = next_record(CKPT_HDR_HEADER, sizeof(struct ckpt_hdr_header));
	if (!header || header->magic != CKPT_MAGIC_HEAD || header->version != CKPT_VERSION ||
	    !next_record(CKPT_HDR_HEADER_ARCH, sizeof(struct ckpt_hdr_header_arch)))
		return false;
	head = next_record(CKPT_HDR_TREE, sizeof(*head));
	if (!head || !head->nr_procs || head->nr_procs > CKPT_TASKS_MAX)
		return false;
	tree.nr_procs = head->nr_procs;
	tree.proc = calloc(tree.nr_procs, sizeof(*tree.proc));
	for (unsigned int i = 0; i < tree.nr_procs; i++) {
		const struct ckpt_hdr_proc *proc = next_record(CKPT_HDR_PROC, sizeof(*proc));

		if (!proc || !tree.proc)
			return false;
		tree.proc[i] = *proc;
		tree.nr_processes += !is_thread(proc);
		tree.nr_zombies += is_zombie(proc);
	}
	return true;
}

static void child_ended(int signal)
{
	(void)signal;
}

static long make_process(pid_t pid, int exit_signal)
{
	struct clone_args args = {
		.exit_signal = exit_signal,
		.set_tid = pid ? (uintptr_t)&pid : 0,
		.set_tid_size = pid ? 1 : 0,
	};

	return syscall(SYS_clone3, &args, sizeof(args));
}

/* Copies a stream behind what was read of it, into a pipe for the kernel. */
static void feed(int to)
{
	static char buffer[1 << 16];
	ssize_t n;

	signal(SIGPIPE, SIG_DFL);
	if (!write_all(to, tree.prefix, tree.prefix_length))
		_exit(EXIT_FAILURE);
	while ((n = read(tree.image, buffer, sizeof(buffer))) > 0)
		if (!write_all(to, buffer, n))
			break;
	_exit(EXIT_SUCCESS);
}

/* Let the kernel begin where we began. */
static bool rewind_image(off_t start)
{
	int ends[2];
	long feeder;

	if (start >= 0)
		return lseek(tree.image, start, SEEK_SET) == start;
	if (pipe2(ends, O_CLOEXEC))
		return false;
	/* Without an exit signal: its end is none of the tree's. */
	feeder = make_process(0, 0);
	if (feeder < 0)
		return false;
	if (!feeder) {
		close(ends[0]);
		feed(ends[1]);
	}
	close(ends[1]);
	tree.image = ends[0];
	return true;
}

/*
 * Tasks
 */

static void run_process(unsigned int self);

static void make_child(unsigned int i)
{
	const struct ckpt_hdr_proc *proc = &tree.proc[i];
	long pid = make_process(proc->pid, proc->exit_signal);

	if (pid < 0)
		give_up("cannot make process %u: %s", proc->pid, strerrorname_np(errno));
	if (!pid)
		run_process(i);
	atomic_store(&tree.board->pid[i], pid);
}

/* Children that are in the session that @self begins, or those that are not. */
static void make_children(unsigned int self, bool in_session)
{
	const struct ckpt_hdr_proc *parent = &tree.proc[self];

	for (unsigned int i = 1; i < tree.nr_procs; i++) {
		const struct ckpt_hdr_proc *proc = &tree.proc[i];

		if (!is_thread(proc) && proc->ppid == parent->pid && (proc->sid == parent->pid) == in_session)
			make_child(i);
	}
}

static void finish(enum phase phase, unsigned int all)
{
	_Atomic unsigned int *done = &tree.board->done[phase];
	unsigned int seen;

	atomic_fetch_add(done, 1);
	futex_wake(done);
	while ((seen = atomic_load(done)) < all) {
		if (atomic_load(&tree.board->failed))
			_exit(EXIT_FAILURE);
		futex_wait(done, seen);
	}
}

static void restart_task(void *unused)
{
	(void)unused;
	while (!atomic_load(&tree.board->go))
		futex_wait(&tree.board->go, 0);
	syscall(__NR_restart, 0, tree.image, 0, CHECKPOINT_FD_NONE);
	syscall(SYS_exit_group, EXIT_FAILURE);
}

/* A thread begins on a stack of its own, with nothing but its number. */
static long clone_thread(struct clone_args *args, void (*function)(void *))
{
	register void (*r8)(void *) asm("r8") = function;
	long result;

	asm volatile("syscall\n\t"
		     "test %%rax, %%rax\n\t"
		     "jnz 1f\n\t"
		     "xor %%ebp, %%ebp\n\t"
		     "xor %%edi, %%edi\n\t"
		     "call *%%r8\n\t"
		     "ud2\n"
		     "1:"
		     : "=a" (result)
		     : "0" (SYS_clone3), "D" (args), "S" (sizeof(*args)), "r" (r8)
		     : "rcx", "r11", "memory");
	return result;
}

static void make_thread(unsigned int i)
{
	pid_t tid = tree.proc[i].pid;
	struct clone_args args = {
		.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM,
		.stack_size = STACK_SIZE,
		.set_tid = (uintptr_t)&tid,
		.set_tid_size = 1,
	};
	void *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	long result;

	if (stack == MAP_FAILED)
		give_up("no memory for thread %d", tid);
	args.stack = (uintptr_t)stack;
	result = clone_thread(&args, restart_task);
	if (result < 0)
		give_up("cannot make thread %d: %s", tid, strerrorname_np(-result));
}

/* End as the zombie did. */
__attribute__((noreturn))
static void end_as(int exit_code)
{
	static const struct rlimit no_core;
	int signal_number = exit_code & 0x7f;

	if (signal_number) {
		setrlimit(RLIMIT_CORE, &no_core);
		signal(signal_number, SIG_DFL);
		syscall(SYS_kill, syscall(SYS_getpid), signal_number);
	}
	_exit(exit_code >> 8);
}

static void await_zombies(const struct ckpt_hdr_proc *parent)
{
	for (unsigned int i = 1; i < tree.nr_procs; i++) {
		const struct ckpt_hdr_proc *proc = &tree.proc[i];
		siginfo_t info;

		if (!is_zombie(proc) || proc->ppid != parent->pid)
			continue;
		if (waitid(P_PID, proc->pid, &info, WEXITED | WNOWAIT | __WALL))
			give_up("process %u did not end: %s", proc->pid, strerrorname_np(errno));
	}
}

/* A session has no terminal until its leader opens one that no other session has. */
static void take_terminal(void)
{
	int fd = open(tree.terminal, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		give_up("cannot open the terminal %s: %s", tree.terminal, strerrorname_np(errno));
	if (tcgetsid(fd) != getsid(0))
		give_up("%s is no terminal, or that of another session", tree.terminal);
	close(fd);
}

/* A process of the tree, from its beginning to its end as such. */
static void run_process(unsigned int self)
{
	const struct ckpt_hdr_proc *proc = &tree.proc[self];
	bool leads_session = proc->sid == proc->pid;

	signal(SIGCHLD, SIG_DFL);
	make_children(self, false);
	if (leads_session && setsid() < 0)
		give_up("process %u cannot begin a session: %s", proc->pid, strerrorname_np(errno));
	if (leads_session && !self && tree.terminal)
		take_terminal();
	make_children(self, true);
	finish(MADE, tree.nr_processes);

	if (proc->pgid == proc->pid && !leads_session && setpgid(0, 0))
		give_up("process %u cannot lead a group: %s", proc->pid, strerrorname_np(errno));
	finish(LED, tree.nr_processes);

	if (proc->pgid && proc->pgid != proc->pid && setpgid(0, proc->pgid))
		give_up("process %u cannot join group %u: %s", proc->pid, proc->pgid, strerrorname_np(errno));
	if (is_zombie(proc))
		end_as(proc->exit_code);
	await_zombies(proc);
	for (unsigned int i = self + 1; i < tree.nr_procs && is_thread(&tree.proc[i]); i++)
		make_thread(i);
	finish(READY, tree.nr_processes - tree.nr_zombies);
	restart_task(NULL);
}

/*
 * The coordinator
 */

static void kill_tree(void)
{
	for (unsigned int i = 0; i < tree.nr_procs; i++) {
		pid_t pid = atomic_load(&tree.board->pid[i]);

		if (pid > 0)
			kill(pid, SIGKILL);
	}
	waitpid(tree.proc[0].pid, NULL, 0);
}

/* Waits until all tasks are about to call restart(). */
static bool await_ready(pid_t root)
{
	_Atomic unsigned int *ready = &tree.board->done[READY];
	unsigned int seen;

	while ((seen = atomic_load(ready)) < tree.nr_processes - tree.nr_zombies) {
		siginfo_t info = { .si_pid = 0 };

		if (atomic_load(&tree.board->failed))
			return false;
		if (!waitid(P_PID, root, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid)
			return false;
		futex_wait(ready, seen);
	}
	return true;
}

static int make_board(void)
{
	size_t size = sizeof(*tree.board) + tree.nr_procs * sizeof(tree.board->pid[0]);

	tree.board = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return tree.board == MAP_FAILED ? -1 : 0;
}

static int pass_on(pid_t root)
{
	int status;

	while (waitpid(root, &status, __WALL) < 0)
		if (errno != EINTR)
			return fail("the root of the tree");
	if (WIFSIGNALED(status)) {
		fprintf(stderr, "restart: task %d was killed by SIG%s\n", root, sigabbrev_np(WTERMSIG(status)));
		return 128 + WTERMSIG(status);
	}
	return WEXITSTATUS(status);
}

static int restart_tree(unsigned long flags, int log, bool detach)
{
	static const struct sigaction interrupt = { .sa_handler = child_ended };
	off_t start = lseek(tree.image, 0, SEEK_CUR);
	pid_t root;
	long result;

	if (!read_tree()) {
		fprintf(stderr, "restart: this is no image that this program knows\n");
		return EXIT_FAILURE;
	}
	if (tree.terminal && tree.proc[0].sid != tree.proc[0].pid) {
		fprintf(stderr, "restart: the root of the tree begins no session: a terminal is that of this session\n");
		return EXIT_FAILURE;
	}
	if (!rewind_image(start) || make_board())
		return fail("cannot prepare");
	sigaction(SIGCHLD, &interrupt, NULL);
	root = tree.proc[0].pid;
	make_child(0);
	if (!await_ready(root)) {
		kill_tree();
		fprintf(stderr, "restart: %s\n", tree.board->why[0] ? tree.board->why : "the root of the tree has ended");
		return EXIT_FAILURE;
	}

	atomic_store(&tree.board->go, 1);
	futex_wake(&tree.board->go);
	result = sys_restart(root, tree.image, flags, log);
	if (result < 0) {
		fail("the tree");
		kill_tree();
		return EXIT_FAILURE;
	}
	close(tree.image);
	return detach ? EXIT_SUCCESS : pass_on(root);
}
#else
/* A kernel whose headers know nothing of trees. */
static struct { int image; const char *terminal; } tree;

static int restart_tree(unsigned long flags, int log, bool detach)
{
	(void)detach;
	sys_restart(1, tree.image, flags, log);
	return fail("the tree");
}
#endif

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "self", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *image_path = NULL, *log_path = NULL;
	int log = STDERR_FILENO, option;
	bool self = false, detach = false;
	unsigned long flags = 0;

	tree.image = STDIN_FILENO;
	while ((option = getopt_long(argc, argv, "dkt:i:l:h", options, NULL)) != -1) {
		switch (option) {
		case 's':
			self = true;
			break;
		case 'd':
			detach = true;
			break;
		case 'k':
			flags |= RESTART_KEEP_RELINKED;
			break;
		case 't':
			tree.terminal = optarg;
			break;
		case 'i':
			image_path = optarg;
			break;
		case 'l':
			log_path = optarg;
			break;
		case 'h':
			usage(stdout);
			return EXIT_SUCCESS;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind != argc) {
		usage(stderr);
		return 2;
	}

	if (image_path)
		tree.image = open(image_path, O_RDONLY | O_CLOEXEC);
	if (tree.image < 0)
		return fail(image_path);
	if (log_path)
		log = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (log < 0)
		return fail(log_path);
	if (!self)
		return restart_tree(flags, log, detach);
	sys_restart(0, tree.image, RESTART_TASKSELF | flags, log);
	return fail(image_path ? image_path : "standard input");
}
