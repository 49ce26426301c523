// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint and restart of process trees.
 *
 * The subject and what it has made are frozen by the test, wherever they
 * happen to be in a system call, and written to an image. The original is
 * thawed and ends. Then /bin/restart makes the tasks again, by their numbers,
 * and they go on.
 *
 * Each case is one kind of state. A kernel without the series does not know
 * the system call: ENOSYS.
 */
#define _GNU_SOURCE
#include <grp.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <termios.h>
#include <time.h>

#include "names.h"
#include "subject.h"

FIXTURE(core)
{
	struct stage stage;
};

FIXTURE_SETUP(core)
{
	strcpy(self->stage.folder, "/tmp/stage.XXXXXX");
	if (!mkdtemp(self->stage.folder))
		FAIL("mkdtemp: %s, expected success", errno_text(-errno).text);
	self->stage.event = EVENT_TREE;
}

FIXTURE_TEARDOWN(core)
{
}

/* What a child says is in the way it ends. */
static void must_end(pid_t child, int code)
{
	int status;

	MUST_EQ(child, waitpid(child, &status, 0));
	MUST_EQ(1, WIFEXITED(status));
	MUST_EQ(code, WEXITSTATUS(status));
}

/* All of a tree but its root end when the root has said that it came back, by this file. */
static void mark(const char *name)
{
	close(MUST(open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)));
}

static void await(const char *name)
{
	while (access(name, F_OK))
		usleep(1000);
}

/* A single task, checkpointed by another. Its memory and its number are what they were. */
SUBJECT(alone)
{
	pid_t pid = getpid();

	come_back();
	MUST_EQ(pid, getpid());
}

TEST_F(core, one_task)
{
	ASSERT_CHECKPOINT(&self->stage, "alone");
	ASSERT_RESTART(&self->stage);
}

/* The same image becomes another task, with a number of its own. */
TEST_F(core, one_task_without_a_tree)
{
	self->stage.event = EVENT_FROZEN;
	ASSERT_CHECKPOINT(&self->stage, "lone");
	ASSERT_RESTART(&self->stage);
}

SUBJECT(lone)
{
	volatile int kept = 42;

	come_back();
	MUST_EQ(42, kept);
}

/*
 * Parent, child, grandchild: each finds itself, its parent and the others where
 * they were, and parents can wait for their children.
 */
SUBJECT(family)
{
	pid_t self = getpid(), child, grandchild;

	child = MUST(fork());
	if (!child) {
		child = getpid();
		grandchild = MUST(fork());
		if (!grandchild) {
			await("back");
			MUST_EQ(child, getppid());
			_exit(3);
		}
		await("back");
		MUST_EQ(self, getppid());
		MUST_EQ(child, getpid());
		must_end(grandchild, 3);
		_exit(5);
	}
	come_back();
	mark("back");
	MUST_EQ(self, getpid());
	must_end(child, 5);
	MUST(unlink("back"));
}

TEST_F(core, parent_child_and_grandchild)
{
	ASSERT_CHECKPOINT(&self->stage, "family");
	ASSERT_RESTART(&self->stage);
}

/* A child with a session of its own, one with a group of its own, and one in that group. */
SUBJECT(groups)
{
	pid_t own = getsid(0), group = getpgrp(), leader, session, member;

	leader = MUST(fork());
	if (!leader) {
		MUST(setpgid(0, 0));
		await("back");
		MUST_EQ(getpid(), getpgrp());
		_exit(0);
	}
	session = MUST(fork());
	if (!session) {
		MUST(setsid());
		await("back");
		MUST_EQ(getpid(), getsid(0));
		MUST_EQ(getpid(), getpgrp());
		_exit(0);
	}
	while (getpgid(leader) != leader || getsid(session) != session)
		usleep(1000);
	member = MUST(fork());
	if (!member) {
		MUST(setpgid(0, leader));
		mark("joined");
		await("back");
		MUST_EQ(leader, getpgrp());
		_exit(0);
	}
	await("joined");
	come_back();
	MUST_NE(0, own + group);
	MUST_EQ(leader, getpgid(member));
	MUST_EQ(leader, getpgid(leader));
	MUST_EQ(session, getsid(session));
	mark("back");
	must_end(leader, 0);
	must_end(session, 0);
	must_end(member, 0);
	MUST(unlink("back"));
	MUST(unlink("joined"));
}

TEST_F(core, sessions_and_groups)
{
	ASSERT_CHECKPOINT(&self->stage, "groups");
	ASSERT_RESTART(&self->stage);
}

/* Two children have ended, one by exit and one by a signal; nobody has waited for them yet. */
SUBJECT(zombies)
{
	pid_t exited, killed;
	siginfo_t info;
	int status;

	exited = MUST(fork());
	if (!exited)
		_exit(7);
	killed = MUST(fork());
	if (!killed)
		kill(getpid(), SIGTERM);
	MUST(waitid(P_PID, exited, &info, WEXITED | WNOWAIT));
	MUST(waitid(P_PID, killed, &info, WEXITED | WNOWAIT));
	come_back();
	must_end(exited, 7);
	MUST_EQ(killed, waitpid(killed, &status, 0));
	MUST_EQ(1, WIFSIGNALED(status));
	MUST_EQ(SIGTERM, WTERMSIG(status));
	MUST_FAIL(-ECHILD, waitpid(-1, &status, 0));
}

TEST_F(core, zombies_keep_their_exit_codes)
{
	ASSERT_CHECKPOINT(&self->stage, "zombies");
	ASSERT_RESTART(&self->stage);
}

static struct {
	_Atomic int ready, go, seen;
	pid_t tid[2];
	int fd;
	pthread_mutex_t mutex;
} threads = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static void *thread(void *number)
{
	long i = (long)number;
	static __thread long own;

	own = i;
	threads.tid[i] = gettid();
	atomic_fetch_add(&threads.ready, 1);
	while (!atomic_load(&threads.go))
		usleep(1000);
	/* Its number, its thread-local memory, the shared mutex and descriptor. */
	pthread_mutex_lock(&threads.mutex);
	if (gettid() == threads.tid[i] && own == i && fcntl(threads.fd, F_GETFD) == FD_CLOEXEC)
		atomic_fetch_add(&threads.seen, 1);
	pthread_mutex_unlock(&threads.mutex);
	return (void *)(i + 100);
}

/*
 * Threads share memory and descriptors again: a descriptor that the first opens
 * after the restart is there for the others. pthread_join() needs the word that
 * the kernel clears when a thread ends.
 */
SUBJECT(threads)
{
	pthread_t thread_of[2];
	void *result;

	for (long i = 0; i < 2; i++)
		MUST_EQ(0, pthread_create(&thread_of[i], NULL, thread, (void *)i));
	while (atomic_load(&threads.ready) < 2)
		usleep(1000);
	come_back();
	threads.fd = MUST(open("/dev/null", O_RDWR | O_CLOEXEC));
	atomic_store(&threads.go, 1);
	for (long i = 0; i < 2; i++) {
		MUST_EQ(0, pthread_join(thread_of[i], &result));
		MUST_EQ(i + 100, (long)result);
	}
	MUST_EQ(2, atomic_load(&threads.seen));
	close(threads.fd);
}

TEST_F(core, threads_share_what_they_shared)
{
	ASSERT_CHECKPOINT(&self->stage, "threads");
	ASSERT_RESTART(&self->stage);
}

/* A descriptor table that two processes share: what one opens, the other has. */
SUBJECT(shared_table)
{
	pid_t child = MUST(syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, 0));
	int fd;

	if (!child) {
		await("back");
		_exit(fcntl(40, F_GETFD) < 0);
	}
	come_back();
	fd = MUST(open("/dev/null", O_RDWR | O_CLOEXEC));
	MUST_EQ(40, dup2(fd, 40));
	mark("back");
	must_end(child, 0);
	close(40);
	close(fd);
	MUST(unlink("back"));
}

TEST_F(core, processes_share_a_descriptor_table)
{
	ASSERT_CHECKPOINT(&self->stage, "shared_table");
	ASSERT_RESTART(&self->stage);
}

/* Pages that parent and child have in common, and those that one of them has written to since. */
SUBJECT(copies)
{
	size_t length = 256 * 4096;
	char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t child;

	memset(memory, 'a', length);
	child = MUST(fork());
	if (!child) {
		memory[4096] = 'c';
		mark("written");
		await("back");
		MUST_EQ('a', memory[0]);
		MUST_EQ('c', memory[4096]);
		MUST_EQ('a', memory[length - 1]);
		_exit(0);
	}
	await("written");
	memory[0] = 'p';
	come_back();
	MUST_EQ('p', memory[0]);
	MUST_EQ('a', memory[4096]);
	MUST_EQ('a', memory[length - 1]);
	mark("back");
	must_end(child, 0);
	MUST(unlink("back"));
	MUST(unlink("written"));
}

TEST_F(core, memory_copied_on_write)
{
	ASSERT_CHECKPOINT(&self->stage, "copies");
	ASSERT_RESTART(&self->stage);
}

/* One memory in two processes: what one writes after the restart, the other sees. */
SUBJECT(shared_memory)
{
	_Atomic int *word = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child;

	word[1] = 11;
	word[40 * 1024] = 12;
	child = MUST(fork());
	if (!child) {
		while (!atomic_load(&word[0]))
			usleep(1000);
		atomic_store(&word[2], 13);
		_exit(word[1] != 11 || word[40 * 1024] != 12);
	}
	come_back();
	MUST_EQ(11, word[1]);
	MUST_EQ(12, word[40 * 1024]);
	MUST_EQ(0, word[20 * 1024]);
	atomic_store(&word[0], 1);
	must_end(child, 0);
	MUST_EQ(13, atomic_load(&word[2]));
}

TEST_F(core, shared_anonymous_memory)
{
	ASSERT_CHECKPOINT(&self->stage, "shared_memory");
	ASSERT_RESTART(&self->stage);
}

static volatile int taken, taken_values;

static void take(int number, siginfo_t *info, void *context)
{
	(void)context;
	taken++;
	if (number == SIGRTMIN)
		taken_values = taken_values * 10 + info->si_value.sival_int;
}

/* Blocked signals wait, with what was sent along, for the task and for its process. */
SUBJECT(pending)
{
	struct sigaction action = { .sa_sigaction = take, .sa_flags = SA_SIGINFO };
	sigset_t blocked, waiting;

	MUST(sigaction(SIGUSR1, &action, NULL));
	MUST(sigaction(SIGRTMIN, &action, NULL));
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigaddset(&blocked, SIGRTMIN);
	MUST(sigprocmask(SIG_BLOCK, &blocked, NULL));
	MUST(sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 1 }));
	MUST(sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 2 }));
	MUST(syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1));
	come_back();
	MUST(sigpending(&waiting));
	MUST_EQ(1, sigismember(&waiting, SIGUSR1));
	MUST_EQ(1, sigismember(&waiting, SIGRTMIN));
	MUST(sigprocmask(SIG_UNBLOCK, &blocked, NULL));
	MUST_EQ(3, taken);
	MUST_EQ(12, taken_values);
}

TEST_F(core, pending_signals)
{
	ASSERT_CHECKPOINT(&self->stage, "pending");
	ASSERT_RESTART(&self->stage);
}

/* An interval timer goes on with what was left of it, and with its interval. */
SUBJECT(timer)
{
	struct sigaction action = { .sa_sigaction = take, .sa_flags = SA_SIGINFO };
	struct itimerval set = { .it_value.tv_sec = 1000, .it_interval.tv_sec = 7 }, seen;

	MUST(sigaction(SIGVTALRM, &action, NULL));
	MUST(setitimer(ITIMER_REAL, &set, NULL));
	MUST(setitimer(ITIMER_VIRTUAL, &set, NULL));
	come_back();
	MUST(getitimer(ITIMER_REAL, &seen));
	MUST_EQ(7, seen.it_interval.tv_sec);
	MUST_EQ(1, seen.it_value.tv_sec > 900 && seen.it_value.tv_sec <= 1000);
	MUST(getitimer(ITIMER_VIRTUAL, &seen));
	MUST_EQ(7, seen.it_interval.tv_sec);
	MUST_EQ(1, seen.it_value.tv_sec > 900 && seen.it_value.tv_sec <= 1000);
	set.it_value = (struct timeval){ .tv_usec = 1000 };
	MUST(setitimer(ITIMER_VIRTUAL, &set, NULL));
	while (!taken)
		;
}

TEST_F(core, interval_timers)
{
	ASSERT_CHECKPOINT(&self->stage, "timer");
	ASSERT_RESTART(&self->stage);
}

/*
 * A child sleeps in one nanosleep() across the checkpoint; it must sleep on for
 * what was left, and its call must succeed.
 */
SUBJECT(sleeper)
{
	struct timespec wanted = { .tv_sec = 2 }, before, after;
	pid_t child = MUST(fork());

	if (!child) {
		mark("sleeping");
		MUST(clock_gettime(CLOCK_MONOTONIC, &before));
		MUST(nanosleep(&wanted, NULL));
		MUST(clock_gettime(CLOCK_MONOTONIC, &after));
		_exit(after.tv_sec - before.tv_sec < 2);
	}
	await("sleeping");
	usleep(100000);
	come_back();
	must_end(child, 0);
	MUST(unlink("sleeping"));
}

TEST_F(core, nanosleep_goes_on)
{
	ASSERT_CHECKPOINT(&self->stage, "sleeper");
	ASSERT_RESTART(&self->stage);
}

static int futex(_Atomic int *word, int operation, int value, const struct timespec *timeout)
{
	return syscall(SYS_futex, word, operation, value, timeout, NULL, 0);
}

/* Children wait in futex(), with a timeout and without; both are woken, not timed out, not interrupted. */
SUBJECT(futexes)
{
	_Atomic int *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct timespec timeout = { .tv_sec = 1000 };
	pid_t child[2];

	for (int i = 0; i < 2; i++) {
		child[i] = MUST(fork());
		if (!child[i]) {
			atomic_fetch_add(&word[1], 1);
			MUST(futex(&word[0], FUTEX_WAIT, 0, i ? &timeout : NULL));
			_exit(0);
		}
	}
	while (atomic_load(&word[1]) < 2)
		usleep(1000);
	usleep(100000);
	come_back();
	/* They come back to the wait in their own time. */
	for (int woken = 0; woken < 2; usleep(1000))
		woken += futex(&word[0], FUTEX_WAKE, 2, NULL);
	must_end(child[0], 0);
	must_end(child[1], 0);
}

TEST_F(core, futex_waits_go_on)
{
	ASSERT_CHECKPOINT(&self->stage, "futexes");
	ASSERT_RESTART(&self->stage);
}

/* A computing task is stopped anywhere: all its registers matter. */
SUBJECT(computing)
{
	_Atomic int *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child = MUST(fork());

	if (!child) {
		double value = 1, other = 1;

		while (!atomic_load(word)) {
			value = value * 1.0000001 + 1e-9;
			other = other * 1.0000001 + 1e-9;
			atomic_store(&word[1], 1);
			if (value != other)
				_exit(1);
		}
		_exit(0);
	}
	while (!atomic_load(&word[1]))
		usleep(1000);
	come_back();
	usleep(10000);
	atomic_store(word, 1);
	must_end(child, 0);
}

TEST_F(core, interrupted_computation)
{
	ASSERT_CHECKPOINT(&self->stage, "computing");
	ASSERT_RESTART(&self->stage);
}

/* A child that gave up its privileges has not got those of whoever restarts it. */
SUBJECT(unprivileged)
{
	pid_t child = MUST(fork());

	if (!child) {
		MUST(setgroups(0, NULL));
		MUST(setresgid(100, 100, 100));
		MUST(setresuid(1000, 1000, 1000));
		/* It cannot write where the others can. */
		while (access("back", F_OK))
			usleep(1000);
		_exit(getuid() != 1000 || geteuid() != 1000 || getgid() != 100 || setuid(0) == 0);
	}
	usleep(100000);
	come_back();
	MUST_EQ(0, getuid());
	mark("back");
	must_end(child, 0);
	MUST(unlink("back"));
}

TEST_F(core, credentials_are_not_raised)
{
	ASSERT_CHECKPOINT(&self->stage, "unprivileged");
	ASSERT_RESTART(&self->stage);
}

/*
 * What an image says of a name is looked at before it is opened: to open a FIFO
 * is to wait for its other end, and a device may act on being opened.
 *
 * 1. a regular file is open. Checkpoint.
 * 2. Its name becomes a FIFO's, then that of a device that has no driver, then
 *    a directory's. EINVAL each time: not a restart that waits, not ENXIO.
 * 3. The file gets its name back: the restart can be tried again.
 */
SUBJECT(reader_of_a_file)
{
	int fd = MUST(open("a", O_RDWR | O_CREAT | O_EXCL, 0600));

	MUST_WRITE(fd, "file");
	MUST(close(fd));
	fd = MUST(open("a", O_RDONLY));
	come_back();
	MUST_HOLD("file", fd);
	unlink("a");
}

TEST_F(core, name_is_now_another_kind_of_file)
{
	self->stage.event = EVENT_SELF;
	ASSERT_CHECKPOINT(&self->stage, "reader_of_a_file");
	ASSERT_OK(rename("a", "kept"));
	ASSERT_OK(mkfifo("a", 0600));
	ASSERT_RESTART_ERRNO(-EINVAL, &self->stage);
	ASSERT_RESTART_LOG(&self->stage, "/a: the name leads to another kind of file");
	ASSERT_OK(unlink("a"));
	ASSERT_OK(mknod("/tmp/nobody", S_IFCHR | 0600, makedev(60, 0)));
	ASSERT_OK(symlink("/tmp/nobody", "a"));
	ASSERT_RESTART_ERRNO(-EINVAL, &self->stage);
	ASSERT_RESTART_LOG(&self->stage, "/tmp/nobody: the name leads to another kind of file");
	ASSERT_OK(unlink("a"));
	ASSERT_OK(unlink("/tmp/nobody"));
	ASSERT_OK(mkdir("a", 0700));
	ASSERT_RESTART_ERRNO(-EINVAL, &self->stage);
	ASSERT_OK(rmdir("a"));
	ASSERT_OK(rename("kept", "a"));
	ASSERT_RESTART(&self->stage);
}

/* The same of a device that is opened by its name: another one has it now. */
SUBJECT(reader_of_zeros)
{
	int fd = MUST(open("/tmp/zero", O_RDONLY));
	char zero = 1;

	come_back();
	MUST_EQ(1, read(fd, &zero, 1));
	MUST_EQ(0, zero);
}

TEST_F(core, name_is_now_another_device)
{
	self->stage.event = EVENT_SELF;
	ASSERT_OK(mknod("/tmp/zero", S_IFCHR | 0600, makedev(1, 5)));
	ASSERT_CHECKPOINT(&self->stage, "reader_of_zeros");
	ASSERT_OK(unlink("/tmp/zero"));
	ASSERT_OK(mknod("/tmp/zero", S_IFCHR | 0600, makedev(60, 0)));
	ASSERT_RESTART_ERRNO(-EINVAL, &self->stage);
	ASSERT_RESTART_LOG(&self->stage, "/tmp/zero: the name leads to another device");
	ASSERT_OK(unlink("/tmp/zero"));
	ASSERT_OK(mknod("/tmp/zero", S_IFCHR | 0600, makedev(1, 5)));
	ASSERT_RESTART(&self->stage);
	ASSERT_OK(unlink("/tmp/zero"));
}

/* A terminal to be found by this name, and the end of it that types and sees what is written. */
#define TERMINAL "/tmp/terminal"

static int new_terminal(struct __test_metadata *_metadata)
{
	int master = ASSERT_OK(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)), number, locked = 0;
	char path[32];

	ASSERT_OK(ioctl(master, TIOCSPTLCK, &locked));
	ASSERT_OK(ioctl(master, TIOCGPTN, &number));
	snprintf(path, sizeof(path), "/dev/pts/%d", number);
	unlink(TERMINAL);
	ASSERT_OK(symlink(path, TERMINAL));
	return master;
}

/* Who leads a session without a terminal gets the one that it opens. */
static int lead_session_on_terminal(void)
{
	return setsid() < 0 || close(open(TERMINAL, O_RDWR)) ? -1 : 0;
}

static int lead_session(void)
{
	return setsid() < 0 ? -1 : 0;
}

/*
 * 1. a task leads a session on a terminal, which it has open by two names.
 * 2. Checkpoint; it ends. A task on another terminal restarts.
 * 3. Both descriptors are of the new terminal: what is written appears there.
 */
SUBJECT(on_terminal)
{
	int fd, again;

	MUST(setsid());
	fd = MUST(open(TERMINAL, O_RDWR | O_CLOEXEC));
	again = MUST(open("/dev/tty", O_WRONLY | O_NONBLOCK));
	come_back();
	MUST_EQ(getsid(0), tcgetsid(fd));
	MUST_EQ(getsid(0), tcgetsid(again));
	MUST_EQ(O_RDWR, fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
	MUST_EQ(O_WRONLY | O_NONBLOCK, fcntl(again, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
	MUST_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	MUST_WRITE(fd, "back");
	MUST_WRITE(again, " again");
}

TEST_F(core, terminal_of_the_session)
{
	int first = new_terminal(_metadata), second;
	char seen[32] = "";

	self->stage.event = EVENT_SELF;
	ASSERT_CHECKPOINT(&self->stage, "on_terminal");
	second = new_terminal(_metadata);
	self->stage.before_restart = lead_session_on_terminal;
	ASSERT_RESTART(&self->stage);
	ASSERT_EQ(10, read(second, seen, sizeof(seen)));
	ASSERT_STREQ("back again", seen);
	close(first);
	close(second);
}

TEST_F(core, terminal_that_is_missing_at_restart)
{
	int terminal = new_terminal(_metadata);

	self->stage.event = EVENT_SELF;
	ASSERT_CHECKPOINT(&self->stage, "on_terminal");
	self->stage.before_restart = lead_session;
	ASSERT_RESTART_ERRNO(-ENXIO, &self->stage);
	close(terminal);
}

/*
 * /dev/tty itself is such a name, where whoever restarts has made it.
 */
TEST_F(core, terminal_whose_name_is_now_a_fifo)
{
	int terminal = new_terminal(_metadata);

	self->stage.event = EVENT_SELF;
	ASSERT_CHECKPOINT(&self->stage, "on_terminal");
	ASSERT_OK(mkfifo("/tmp/fifo", 0600));
	ASSERT_OK(mount("/tmp/fifo", "/dev/tty", NULL, MS_BIND, NULL));
	ASSERT_RESTART_ERRNO(-EINVAL, &self->stage);
	ASSERT_RESTART_LOG(&self->stage, "path /dev/tty: the name leads to another kind of file");
	ASSERT_OK(umount("/dev/tty"));
	ASSERT_OK(unlink("/tmp/fifo"));
	close(terminal);
}

/*
 * A session that the tree begins has no terminal until its leader opens one.
 *
 * 1. the root of a tree leads a session on a terminal. Checkpoint.
 * 2. Restart without a terminal: ENXIO.
 * 3. Restart with another terminal: the root leads its session on that one.
 */
TEST_F(core, terminal_of_a_session_that_the_tree_begins)
{
	int first = new_terminal(_metadata), second;
	char seen[32] = "";

	ASSERT_CHECKPOINT(&self->stage, "on_terminal");
	ASSERT_RESTART_ERRNO(-ENXIO, &self->stage);
	second = new_terminal(_metadata);
	self->stage.terminal = TERMINAL;
	ASSERT_RESTART(&self->stage);
	ASSERT_EQ(10, read(second, seen, sizeof(seen)));
	ASSERT_STREQ("back again", seen);
	close(first);
	close(second);
}

/* A terminal that is not that of its session: nothing tells which it would be. */
SUBJECT(other_terminal)
{
	MUST(open(TERMINAL, O_RDWR | O_NOCTTY));
	event();
}

TEST_F(core, terminal_of_others_is_refused)
{
	int terminal = new_terminal(_metadata);

	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "other_terminal");
	ASSERT_LOG(&self->stage, "fd 3 path /dev/pts/");
	close(terminal);
}

/* Refused as a whole, with a record that names what it is about. */
SUBJECT(with_socket)
{
	int ends[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	event();
}

TEST_F(core, socket_is_refused)
{
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "with_socket");
	ASSERT_LOG(&self->stage, "fd 3");
}

/* A process that is not frozen is not written. */
TEST_F(core, running_task_is_refused)
{
	int image = ASSERT_OK(open("image", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
	pid_t child = ASSERT_OK(fork());

	if (!child) {
		for (;;)
			pause();
	}
	errno = -sys_checkpoint(child, image, CHECKPOINT_SUBTREE, CHECKPOINT_FD_NONE);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(image);
	unlink("image");
	if (errno != EBUSY)
		FAIL("checkpoint of a running task: %s, expected %s", errno_text(-errno).text, errno_text(-EBUSY).text);
}

/* The program that the parent of a restarted tree becomes: an unexpected signal ends it. */
SUBJECT(waits_for_its_child)
{
	MUST(waitpid(-1, NULL, __WALL));
}

/* The record of the root of an image, changed to end with another signal. */
static struct ckpt_hdr_proc forge_exit_signal(struct __test_metadata *_metadata, int image, int exit_signal)
{
	struct ckpt_hdr_proc proc = {};
	off_t at = 0;

	for (;;) {
		ASSERT_OK(pread(image, &proc, sizeof(proc), at));
		if (proc.h.type == CKPT_HDR_PROC)
			break;
		ASSERT_GT(proc.h.len, 0);
		at += proc.h.len;
	}
	proc.exit_signal = exit_signal;
	ASSERT_OK(pwrite(image, &proc, sizeof(proc), at));
	return proc;
}

/* Makes the root of a tree, which restarts when its parent has executed another program, and executes it. */
static void become_another_program(const struct stage *stage, int image, pid_t root, int exit_signal)
{
	struct clone_args args = {
		.exit_signal = exit_signal,
		.set_tid = (uintptr_t)&root,
		.set_tid_size = 1,
	};
	char *argv[] = { "subject", "--subject", "waits_for_its_child", "0", (char *)stage->folder, NULL };
	char nothing;
	int end[2];
	long made;

	if (pipe2(end, O_CLOEXEC))
		_exit(EXIT_FAILURE);
	made = syscall(SYS_clone3, &args, sizeof(args));
	if (!made) {
		close(end[1]);
		if (!read(end[0], &nothing, 1))
			sys_restart(0, image, 0, CHECKPOINT_FD_NONE);
		_exit(EXIT_FAILURE);
	}
	if (made > 0)
		execv("/proc/self/exe", argv);
	_exit(EXIT_FAILURE);
}

/*
 * A child tells its parent of its end by a signal of its choice, but not a
 * parent that has executed another program since: that may be a setuid program
 * which the child has no right to signal. A restart does not change that.
 *
 * 1. Checkpoint of a task. Its image says that it ends with SIGUSR1.
 * 2. A process makes that task and executes another program; the task restarts
 *    and ends.
 * 3. The program has not got SIGUSR1, which would have killed it.
 */
TEST_F(core, exit_signal_is_not_for_another_program)
{
	char path[256];
	struct ckpt_hdr_proc root;
	int image, status;
	pid_t parent;

	ASSERT_CHECKPOINT(&self->stage, "alone");
	subject_path(path, sizeof(path), self->stage.folder, "image", 1);
	image = ASSERT_OK(open(path, O_RDWR | O_CLOEXEC));
	root = forge_exit_signal(_metadata, image, SIGUSR1);
	stage_give_verdict(_metadata, &self->stage, 1, 0);
	parent = ASSERT_OK(fork());
	if (!parent)
		become_another_program(&self->stage, image, root.pid, SIGUSR1);
	ASSERT_OK(sys_restart(root.pid, image, 0, CHECKPOINT_FD_NONE));
	ASSERT_EQ(parent, waitpid(parent, &status, 0));
	close(image);
	if (WIFSIGNALED(status))
		FAIL("the other program was killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
	ASSERT_EQ(0, WEXITSTATUS(status));
}

SUBJECT_HARNESS_MAIN
