// SPDX-License-Identifier: GPL-2.0
/*
 * What checkpoint does not save.
 *
 * A checkpoint never leaves out what it cannot bring back: it refuses all of
 * the tree. The log says which task it was, which descriptor and path where it
 * is a file, and why.
 *
 * In each case a task makes one thing that is not supported, and the checkpoint
 * of its tree fails: EBADF for a file, EBUSY for everything else. The task goes
 * on.
 */
#define _GNU_SOURCE
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>

#include "subject.h"

FIXTURE(left_out)
{
	struct stage stage;
};

FIXTURE_SETUP(left_out)
{
	strcpy(self->stage.folder, "/tmp/stage.XXXXXX");
	if (!mkdtemp(self->stage.folder))
		FAIL("mkdtemp: %s, expected success", errno_text(-errno).text);
	self->stage.event = EVENT_TREE;
}

FIXTURE_TEARDOWN(left_out)
{
}

#define NO_SUCH_FILE "neither a regular file, a directory, nor a pipe"

/* How it fails is for the test to say; that it does, for the subject. */
static void must_be_refused(void)
{
	if (event() != REFUSED)
		SUBJECT_FAIL("the checkpoint was not refused");
}

/* A child that does something, says so, and waits to be killed. */
static pid_t new_child(void (*first)(void))
{
	pid_t child = MUST(fork());

	if (!child) {
		first();
		close(MUST(open("/tmp/left_out", O_WRONLY | O_CREAT | O_EXCL, 0600)));
		for (;;)
			pause();
	}
	while (access("/tmp/left_out", F_OK))
		usleep(1000);
	return child;
}

SUBJECT(epoll)
{
	MUST(epoll_create1(0));
	must_be_refused();
}

TEST_F(left_out, an_epoll_descriptor)
{
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "epoll");
	ASSERT_LOG(&self->stage, " fd 3 path anon_inode:[eventpoll]: " NO_SUCH_FILE);
}

SUBJECT(timer_descriptor)
{
	MUST(timerfd_create(CLOCK_MONOTONIC, 0));
	must_be_refused();
}

TEST_F(left_out, a_timer_descriptor)
{
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "timer_descriptor");
	ASSERT_LOG(&self->stage, " fd 3 path anon_inode:[timerfd]: " NO_SUCH_FILE);
}

SUBJECT(signal_descriptor)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	MUST(signalfd(-1, &set, 0));
	must_be_refused();
}

TEST_F(left_out, a_signal_descriptor)
{
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "signal_descriptor");
	ASSERT_LOG(&self->stage, " fd 3 path anon_inode:[signalfd]: " NO_SUCH_FILE);
}

SUBJECT(watch)
{
	MUST(inotify_init1(0));
	must_be_refused();
}

TEST_F(left_out, an_inotify_descriptor)
{
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "watch");
	ASSERT_LOG(&self->stage, " fd 3 path anon_inode:inotify: " NO_SUCH_FILE);
}

SUBJECT(process_descriptor)
{
	MUST(syscall(SYS_pidfd_open, getpid(), 0));
	must_be_refused();
}

TEST_F(left_out, a_descriptor_of_a_process)
{
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "process_descriptor");
	ASSERT_LOG(&self->stage, " fd 3 path ");
}

SUBJECT(sockets)
{
	int ends[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	must_be_refused();
}

TEST_F(left_out, a_pair_of_sockets)
{
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "sockets");
	ASSERT_LOG(&self->stage, " fd 3 path socket:[");
}

SUBJECT(memory_file)
{
	MUST(memfd_create("left_out", 0));
	must_be_refused();
}

TEST_F(left_out, a_memory_file)
{
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "memory_file");
	ASSERT_LOG(&self->stage, " fd 3 path /memfd:left_out");
	ASSERT_LOG(&self->stage, "memory files without a name are not supported");
}

/* Its contents are made for who has opened it. */
SUBJECT(made_up)
{
	MUST(open("/proc/version", O_RDONLY));
	must_be_refused();
}

TEST_F(left_out, a_file_of_procfs)
{
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "made_up");
	ASSERT_LOG(&self->stage, " fd 3 path /proc/version: files of proc are not supported");
}

static int new_named_file(void)
{
	return MUST(open("file", O_RDWR | O_CREAT | O_EXCL, 0600));
}

SUBJECT(lock)
{
	MUST(flock(new_named_file(), LOCK_EX));
	must_be_refused();
	MUST(unlink("file"));
}

TEST_F(left_out, a_file_lock)
{
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "lock");
	ASSERT_LOG(&self->stage, "/file: file locks and leases are not supported");
}

SUBJECT(lease)
{
	int fd;

	close(new_named_file());
	fd = MUST(open("file", O_RDONLY));
	MUST(fcntl(fd, F_SETLEASE, F_RDLCK));
	must_be_refused();
	MUST(unlink("file"));
}

TEST_F(left_out, a_lease)
{
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "lease");
	ASSERT_LOG(&self->stage, "/file: file locks and leases are not supported");
}

SUBJECT(owner)
{
	int ends[2];

	MUST(pipe(ends));
	MUST(fcntl(ends[0], F_SETOWN, getpid()));
	must_be_refused();
}

TEST_F(left_out, an_owner_of_a_pipe)
{
	ASSERT_CHECKPOINT_ERRNO(-EBUSY, &self->stage, "owner");
	ASSERT_LOG(&self->stage, ": a file with an owner is not supported");
	ASSERT_LOG(&self->stage, " fd 3 path pipe:[");
}

SUBJECT(timer)
{
	struct sigevent event = { .sigev_notify = SIGEV_NONE };
	timer_t made;

	MUST(timer_create(CLOCK_MONOTONIC, &event, &made));
	must_be_refused();
}

TEST_F(left_out, a_posix_timer)
{
	ASSERT_CHECKPOINT_ERRNO(-EBUSY, &self->stage, "timer");
	ASSERT_LOG(&self->stage, "POSIX timers are not supported");
}

static void stop(void)
{
	close(MUST(open("/tmp/left_out", O_WRONLY | O_CREAT | O_EXCL, 0600)));
	raise(SIGSTOP);
}

SUBJECT(stopped)
{
	pid_t child = new_child(stop);

	MUST_EQ(child, waitpid(child, NULL, WUNTRACED));
	must_be_refused();
}

TEST_F(left_out, a_task_that_is_stopped)
{
	ASSERT_CHECKPOINT_ERRNO(-EBUSY, &self->stage, "stopped");
	ASSERT_LOG(&self->stage, "the task is stopped by a signal");
}

static void be_traced(void)
{
	MUST(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

SUBJECT(traced)
{
	new_child(be_traced);
	must_be_refused();
}

TEST_F(left_out, a_task_that_is_traced)
{
	ASSERT_CHECKPOINT_ERRNO(-EBUSY, &self->stage, "traced");
	ASSERT_LOG(&self->stage, "the task is traced");
}

static void be_elsewhere(void)
{
	MUST(unshare(CLONE_NEWUTS));
}

SUBJECT(elsewhere)
{
	new_child(be_elsewhere);
	must_be_refused();
}

TEST_F(left_out, namespaces_of_a_child)
{
	ASSERT_CHECKPOINT_ERRNO(-EBUSY, &self->stage, "elsewhere");
	ASSERT_LOG(&self->stage, "in namespaces of its own");
}

/* A group whose leader has ended and was waited for: its number cannot be had again. */
SUBJECT(group)
{
	pid_t leader = MUST(fork()), member;

	if (!leader)
		pause();
	MUST(setpgid(leader, leader));
	member = MUST(fork());
	if (!member)
		for (;;)
			pause();
	MUST(setpgid(member, leader));
	MUST(kill(leader, SIGKILL));
	MUST_EQ(leader, waitpid(leader, NULL, 0));
	must_be_refused();
}

TEST_F(left_out, a_group_without_its_leader)
{
	ASSERT_CHECKPOINT_ERRNO(-EBUSY, &self->stage, "group");
	ASSERT_LOG(&self->stage, "a process group or session without its leader");
}

SUBJECT(ring)
{
	struct io_uring_params params = { 0 };

	MUST(syscall(SYS_io_uring_setup, 4, &params));
	must_be_refused();
}

TEST_F(left_out, an_io_uring)
{
	ASSERT_CHECKPOINT_ERRNO(-EBUSY, &self->stage, "ring");
	ASSERT_LOG(&self->stage, "io_uring is not supported");
}

SUBJECT(asynchronous)
{
	aio_context_t context = 0;

	MUST(syscall(SYS_io_setup, 4, &context));
	must_be_refused();
}

TEST_F(left_out, asynchronous_io)
{
	ASSERT_CHECKPOINT_ERRNO(-EBUSY, &self->stage, "asynchronous");
	ASSERT_LOG(&self->stage, "asynchronous I/O is not supported");
}

SUBJECT(segment)
{
	int number = MUST(shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600));

	if (shmat(number, NULL, 0) == (void *)-1)
		SUBJECT_FAIL("shmat: %s", errno_text(-errno).text);
	MUST(shmctl(number, IPC_RMID, NULL));
	must_be_refused();
}

TEST_F(left_out, a_segment_of_shared_memory)
{
	ASSERT_CHECKPOINT_ERRNO(-EBUSY, &self->stage, "segment");
	ASSERT_LOG(&self->stage, "is System V shared memory");
}

SUBJECT(semaphore)
{
	struct sembuf up = { .sem_op = 1, .sem_flg = SEM_UNDO };
	int set = MUST(semget(IPC_PRIVATE, 1, IPC_CREAT | 0600));

	MUST(semop(set, &up, 1));
	must_be_refused();
	MUST(semctl(set, 0, IPC_RMID));
}

TEST_F(left_out, a_semaphore_to_undo)
{
	ASSERT_CHECKPOINT_ERRNO(-EBUSY, &self->stage, "semaphore");
	ASSERT_LOG(&self->stage, "semaphores are not supported");
}

SUBJECT(locked)
{
	char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(mlock(memory, 4096));
	must_be_refused();
}

TEST_F(left_out, locked_memory)
{
	ASSERT_CHECKPOINT_ERRNO(-EBUSY, &self->stage, "locked");
	ASSERT_LOG(&self->stage, "of a kind that is not supported");
}

/* The other is a brother, not a child: the test is the parent of both. */
SUBJECT(table)
{
	pid_t brother = MUST(syscall(SYS_clone, CLONE_FILES | CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, 0));

	if (!brother)
		for (;;)
			pause();
	must_be_refused();
}

TEST_F(left_out, a_descriptor_table_shared_with_a_task_outside)
{
	ASSERT_CHECKPOINT_ERRNO(-EBUSY, &self->stage, "table");
	ASSERT_LOG(&self->stage, "the descriptor table is shared with another task");
}

SUBJECT(directory)
{
	pid_t brother = MUST(syscall(SYS_clone, CLONE_FS | CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, 0));

	if (!brother)
		for (;;)
			pause();
	must_be_refused();
}

TEST_F(left_out, a_current_directory_shared_with_a_task_outside)
{
	ASSERT_CHECKPOINT_ERRNO(-EBUSY, &self->stage, "directory");
	ASSERT_LOG(&self->stage, "the current directory is shared with another task");
}

SUBJECT_HARNESS_MAIN
