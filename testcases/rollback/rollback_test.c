// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoints that fail after names were made.
 *
 * Whatever is wrong with the task, or with the image, may come last. Then the
 * names that were made before are of no use to anybody, and nobody knows them:
 * they have to go, and the inodes have to be as they were, without links, on the
 * list of orphans, not linkable by link(2), or linkable if they were.
 *
 * In each case the task holds two unlinked files and a removed directory before
 * what is wrong. Where it is refused before the series too, by core, the case
 * passes in both states: there it shows that relinking changed nothing.
 */
#define _GNU_SOURCE
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "orphan.h"
#include "relink.h"

FIXTURE(rollback)
{
	struct stage stage;
};

FIXTURE_SETUP(rollback)
{
	stage_set_up(_metadata, &self->stage);
}

FIXTURE_TEARDOWN(rollback)
{
	stage_tear_down(_metadata, &self->stage);
}

/* What is held before something is wrong. */
struct held {
	int first, second, directory;
};

static struct held hold(void)
{
	return (struct held){
		.first = new_orphan("a", "first"),
		.second = new_orphan("b", "second"),
		.directory = new_removed_directory("d"),
	};
}

/* The checkpoint fails, and what is held is as it was. */
static void must_roll_back(const struct held *held)
{
	if (event() != REFUSED)
		return;
	must_be_orphan(held->first, "first");
	must_be_orphan(held->second, "second");
	MUST_FAIL(-ENOENT, openat(held->directory, "new", O_CREAT | O_WRONLY, 0600));
}

static void assert_rolled_back(struct __test_metadata *_metadata)
{
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_NAMES("lost+found", "checkpoint");
}

/* A process that is no child of the subject's, and has what the subject has open; it says its number through a pipe. */
static pid_t new_stranger(const int ends[2])
{
	pid_t child = MUST(fork()), stranger;

	if (!child) {
		if (fork())
			_exit(0);
		stranger = getpid();
		alarm(60);
		if (chdir("/") || write(ends[1], &stranger, sizeof(stranger)) != sizeof(stranger))
			_exit(1);
		for (;;)
			pause();
	}
	MUST(waitpid(child, NULL, 0));
	MUST_EQ((long)sizeof(stranger), read(ends[0], &stranger, sizeof(stranger)));
	return stranger;
}

/* Somebody else has the pipe open as well: EBUSY, at the very end, when all that the task holds has been written. */
SUBJECT(shared_pipe)
{
	struct held held = { 0 };
	pid_t stranger;
	int ends[2];

	MUST(pipe(ends));
	stranger = new_stranger(ends);
	held = hold();
	must_roll_back(&held);
	MUST(kill(stranger, SIGKILL));
}

TEST_F(rollback, a_pipe_that_others_have)
{
	ASSERT_CHECKPOINT_ERRNO(-EBUSY, &self->stage, "shared_pipe");
	assert_rolled_back(_metadata);
}

/* A descriptor of something that core does not save: EBADF. */
SUBJECT(sockets)
{
	struct held held = hold();
	int ends[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	must_roll_back(&held);
}

TEST_F(rollback, a_pair_of_sockets)
{
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "sockets");
	assert_rolled_back(_metadata);
}

/* As above: who watches the very directory in which the names appear. */
SUBJECT(watcher)
{
	struct held held = hold();
	int watch = MUST(inotify_init1(IN_CLOEXEC));

	MUST(inotify_add_watch(watch, CHECKPOINT_DIR, IN_ALL_EVENTS));
	must_roll_back(&held);
}

TEST_F(rollback, an_inotify_descriptor)
{
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "watcher");
	assert_rolled_back(_metadata);
}

/* A lock on an unlinked file would be lost by the restart: EBADF. */
SUBJECT(locked)
{
	struct held held = hold();

	MUST(flock(held.second, LOCK_EX));
	must_roll_back(&held);
}

TEST_F(rollback, a_lock_on_the_second_file)
{
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "locked");
	assert_rolled_back(_metadata);
}

/* The same with a lock on a range, which is the process's. */
SUBJECT(record_locked)
{
	struct held held = hold();
	struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };

	MUST(fcntl(held.second, F_SETLK, &range));
	must_roll_back(&held);
}

TEST_F(rollback, a_record_lock_on_the_second_file)
{
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "record_locked");
	assert_rolled_back(_metadata);
}

/* And with a lease, which a new link would have to break. */
SUBJECT(leased)
{
	struct held held = hold();
	int file = MUST(open("c", O_RDONLY | O_CREAT | O_EXCL, 0600));

	MUST(unlink("c"));
	MUST(fcntl(file, F_SETLEASE, F_RDLCK));
	must_roll_back(&held);
	MUST(fcntl(file, F_GETLEASE));
}

TEST_F(rollback, a_lease_on_an_unlinked_file)
{
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "leased");
	assert_rolled_back(_metadata);
}

/* Somebody is to be told by SIGIO: EBUSY. */
SUBJECT(owned)
{
	struct held held = hold();

	MUST(fcntl(held.second, F_SETOWN, getpid()));
	must_roll_back(&held);
}

TEST_F(rollback, an_owner_of_the_second_file)
{
	ASSERT_CHECKPOINT_ERRNO(-EBUSY, &self->stage, "owned");
	assert_rolled_back(_metadata);
}

/*
 * The third file cannot be linked: the first two lose their names, and so does
 * what stands in for the directory.
 */
SUBJECT(third_immutable)
{
	struct held held = hold();
	int third = new_orphan("c", "third"), flags = 0;

	MUST(ioctl(third, FS_IOC_GETFLAGS, &flags));
	flags |= FS_IMMUTABLE_FL;
	MUST(ioctl(third, FS_IOC_SETFLAGS, &flags));
	must_roll_back(&held);
	flags &= ~FS_IMMUTABLE_FL;
	MUST(ioctl(third, FS_IOC_SETFLAGS, &flags));
}

TEST_F(rollback, a_third_file_that_cannot_be_linked)
{
	ASSERT_CHECKPOINT_ERRNO(-EPERM, &self->stage, "third_immutable");
	assert_rolled_back(_metadata);
}

/*
 * The last to be written is the memory, long after all names were made. Where
 * the image is to go there is room for the files' records and not for that.
 *
 * 1. the folder for images is a filesystem of 128 KiB; the subject has 1 MiB of
 *    memory that is not zero.
 * 2. Checkpoint: ENOSPC.
 */
SUBJECT(large_memory)
{
	static char memory[1 << 20];
	struct held held = hold();

	memset(memory, 'm', sizeof(memory));
	/* Its report has a page by now. */
	tell("memory", memory[sizeof(memory) / 2]);
	must_roll_back(&held);
}

TEST_F(rollback, no_room_for_the_image)
{
	ASSERT_OK(mount("none", self->stage.folder, "tmpfs", 0, "size=128k"));
	ASSERT_CHECKPOINT_ERRNO(-ENOSPC, &self->stage, "large_memory");
	assert_rolled_back(_metadata);
	ASSERT_OK(umount2(self->stage.folder, MNT_DETACH));
}

/*
 * A file made by O_TMPFILE may be linked by its owner, once. Neither the name
 * nor its removal may spend that; nor may they give it to a file that was
 * unlinked.
 */
SUBJECT(temporary)
{
	struct held held = hold();
	int temporary = MUST(open(".", O_RDWR | O_TMPFILE, 0600)), ends[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	must_roll_back(&held);
	MUST(linkat(temporary, "", AT_FDCWD, "linked", AT_EMPTY_PATH));
}

TEST_F(rollback, a_temporary_file_can_still_be_linked)
{
	self->stage.remains = "linked lost+found";
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "temporary");
	assert_rolled_back(_metadata);
}

/*
 * What others have in the directory is theirs, names of the very form included.
 *
 * 1. make a file and a directory there, called as checkpoints call theirs.
 * 2. A checkpoint that fails. Both are there still.
 */
#define FOREIGN_FILE CHECKPOINT_DIR "/unlink-at-restart-0badc0de-1"
#define FOREIGN_FOLDER CHECKPOINT_DIR "/unlink-at-restart-0badc0de-2"

TEST_F(rollback, names_of_others_are_left_alone)
{
	make_file(_metadata, FOREIGN_FILE, "not yours");
	ASSERT_OK(mkdir(FOREIGN_FOLDER, 0700));
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "sockets");
	ASSERT_NAMES(CHECKPOINT_DIR, "unlink-at-restart-0badc0de-1 unlink-at-restart-0badc0de-2");
	ASSERT_HOLDS(FOREIGN_FILE, "not yours");
	ASSERT_OK(unlink(FOREIGN_FILE));
	ASSERT_OK(rmdir(FOREIGN_FOLDER));
}

/*
 * Direct I/O in flight on an unlinked file: what it will have written nobody
 * knows yet. Core takes no task that can have some, whether it has ended or not.
 */
static void write_meanwhile(int fd)
{
	static char page[4096] __attribute__((aligned(4096)));
	struct iocb write = {
		.aio_lio_opcode = IOCB_CMD_PWRITE,
		.aio_fildes = fd,
		.aio_buf = (uintptr_t)page,
		.aio_nbytes = sizeof(page),
	};
	struct iocb *writes[] = { &write };
	aio_context_t context = 0;

	MUST(syscall(SYS_io_setup, 1, &context));
	MUST_EQ(1, syscall(SYS_io_submit, context, 1, writes));
}

SUBJECT(writer)
{
	struct held held = hold();
	int fd = open("c", O_RDWR | O_CREAT | O_EXCL | O_DIRECT, 0600);

	/* tmpfs of 6.1 has no O_DIRECT. */
	if (fd < 0)
		fd = MUST(open("c", O_RDWR | O_CREAT, 0600));
	MUST(unlink("c"));
	write_meanwhile(fd);
	must_roll_back(&held);
}

TEST_F(rollback, direct_io_in_flight)
{
	ASSERT_CHECKPOINT_ERRNO(-EBUSY, &self->stage, "writer");
	ASSERT_LOG(&self->stage, "asynchronous I/O");
	assert_rolled_back(_metadata);
}

/*
 * A checkpoint that failed is no reason for the next to fail.
 *
 * 1. a checkpoint is refused for sockets; they are closed.
 * 2. Checkpoint: one name for each of the three. Restart.
 */
SUBJECT(second_try)
{
	struct held held = hold();
	int ends[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	if (event() != REFUSED)
		SUBJECT_FAIL("the checkpoint of sockets was not refused");
	MUST(close(ends[0]));
	MUST(close(ends[1]));
	come_back();
	must_be_orphan(held.first, "first");
	must_be_orphan(held.second, "second");
}

TEST_F(rollback, then_a_checkpoint_that_works)
{
	ASSERT_CHECKPOINT(&self->stage, "second_try");
	ASSERT_RELINKED(3);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

SUBJECT_HARNESS_MAIN
