// SPDX-License-Identifier: GPL-2.0
/*
 * Unlinked files that several tasks hold.
 *
 * The tasks are frozen and written to one image, in which one open file is one,
 * whoever holds it, and one inode has one name on a mount, however often it was
 * opened. After the restart what was shared is shared: an offset by those who
 * have the open file from fork() or through a socket, the contents by all.
 *
 * The root of the tree is the subject; its children wait for its word.
 *
 * Without relinking every checkpoint here is refused with EBADF.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "orphan.h"
#include "relink.h"

FIXTURE(shared)
{
	struct stage stage;
};

FIXTURE_SETUP(shared)
{
	stage_set_up(_metadata, &self->stage);
	self->stage.event = EVENT_TREE;
}

FIXTURE_TEARDOWN(shared)
{
	stage_tear_down(_metadata, &self->stage);
}

/* A word from one task to the others: a file beside the report. */
static void say(const char *word)
{
	MUST(close(MUST(subject_open(subject_self.folder, word, 0, O_WRONLY | O_CREAT | O_EXCL))));
}

static void await(const char *word)
{
	char path[256];

	subject_path(path, sizeof(path), subject_self.folder, word, 0);
	while (access(path, F_OK))
		usleep(1000);
}

/* A child says what it saw in the way it ends: 7 is well. */
enum { WELL = 7, ILL = 8 };

static void must_end_well(pid_t child)
{
	int status;

	MUST_EQ(child, waitpid(child, &status, 0));
	MUST_EQ(1, WIFEXITED(status));
	MUST_EQ(WELL, WEXITSTATUS(status));
}

static int reads(int fd, const char *text)
{
	char seen[16] = "";

	return read(fd, seen, strlen(text)) == (ssize_t)strlen(text) && !strcmp(seen, text);
}

/*
 * A single task, frozen and checkpointed by another: nothing is different from
 * a task that does it itself.
 *
 * 1. open a, unlink a; wait.
 * 2. Checkpoint by another: one name. Restart.
 */
SUBJECT(alone)
{
	int fd = new_orphan("a", "alone");
	ino_t inode = subject_stat(fd).st_ino;

	come_back();
	MUST_EQ(inode, subject_stat(fd).st_ino);
	MUST_EQ(5, lseek(fd, 0, SEEK_CUR));
	must_be_orphan(fd, "alone");
}

TEST_F(shared, one_task_checkpointed_by_another)
{
	ASSERT_CHECKPOINT(&self->stage, "alone");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. open a, unlink a, fork: parent and child have one open file.
 * 2. Checkpoint: one name. Restart.
 * 3. What the child reads the parent has read: one offset.
 */
SUBJECT(forked)
{
	int fd = new_orphan("a", "0123456789");
	pid_t child;

	MUST(lseek(fd, 2, SEEK_SET));
	child = MUST(fork());
	if (!child) {
		await("read");
		_exit(reads(fd, "2345") ? WELL : ILL);
	}
	come_back();
	MUST_EQ(2, lseek(fd, 0, SEEK_CUR));
	say("read");
	must_end_well(child);
	MUST_EQ(6, lseek(fd, 0, SEEK_CUR));
	MUST_EQ(0, subject_stat(fd).st_nlink);
}

TEST_F(shared, fork_shares_the_offset)
{
	ASSERT_CHECKPOINT(&self->stage, "forked");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * As above, but the child was sent the descriptor, and the socket is closed.
 */
static void send_descriptor(int socket, int fd)
{
	char room[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = "";
	struct iovec byte = { "", 1 };
	struct msghdr message = {
		.msg_iov = &byte, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room),
	};
	struct cmsghdr *control = CMSG_FIRSTHDR(&message);

	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(control), &fd, sizeof(fd));
	MUST_EQ(1, sendmsg(socket, &message, 0));
}

static int receive_descriptor(int socket)
{
	char room[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))), byte;
	struct iovec data = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room),
	};
	int fd = -1;

	if (recvmsg(socket, &message, 0) == 1 && CMSG_FIRSTHDR(&message))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

static void read_what_was_sent(int socket)
{
	int fd = receive_descriptor(socket);

	close(socket);
	if (fd < 0)
		_exit(ILL);
	say("received");
	await("read");
	_exit(reads(fd, "2345") ? WELL : ILL);
}

SUBJECT(sent)
{
	int ends[2], fd;
	pid_t child;

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	child = MUST(fork());
	if (!child) {
		close(ends[0]);
		read_what_was_sent(ends[1]);
	}
	MUST(close(ends[1]));
	fd = new_orphan("a", "0123456789");
	MUST(lseek(fd, 2, SEEK_SET));
	send_descriptor(ends[0], fd);
	MUST(close(ends[0]));
	await("received");
	come_back();
	say("read");
	must_end_well(child);
	MUST_EQ(6, lseek(fd, 0, SEEK_CUR));
}

TEST_F(shared, descriptor_that_was_sent)
{
	ASSERT_CHECKPOINT(&self->stage, "sent");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. parent and child each open a; the parent unlinks it.
 * 2. Checkpoint: one name for both. Restart.
 * 3. One inode, two offsets: what the child writes the parent reads.
 */
static void write_when_told(void)
{
	int fd = open("a", O_RDWR | O_APPEND);

	if (fd < 0)
		_exit(ILL);
	say("opened");
	await("write");
	_exit(write(fd, "child", 5) == 5 ? WELL : ILL);
}

SUBJECT(two_opens)
{
	int fd = new_file("a", "parent");
	pid_t child = MUST(fork());

	if (!child) {
		close(fd);
		write_when_told();
	}
	await("opened");
	MUST(unlink("a"));
	come_back();
	say("write");
	must_end_well(child);
	must_be_orphan(fd, "parentchild");
	MUST_EQ(6, lseek(fd, 0, SEEK_CUR));
}

TEST_F(shared, two_tasks_that_opened_one_file)
{
	ASSERT_CHECKPOINT(&self->stage, "two_opens");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. a child opens a, unlinks it, and removes the directory it is in; the
 *    parent has nothing of either.
 * 2. Checkpoint: two names. Restart: the child has both.
 */
static void hold_file_and_directory(void)
{
	int fd = new_orphan("a", "child");

	MUST(mkdir("d", 0700));
	MUST(chdir("d"));
	MUST(rmdir("../d"));
	say("held");
	await("look");
	if (subject_stat(fd).st_nlink || open("new", O_CREAT | O_WRONLY, 0600) >= 0 || errno != ENOENT)
		_exit(ILL);
	_exit(lseek(fd, 0, SEEK_SET) == 0 && reads(fd, "child") ? WELL : ILL);
}

SUBJECT(child_alone)
{
	pid_t child = MUST(fork());

	if (!child)
		hold_file_and_directory();
	await("held");
	come_back();
	say("look");
	must_end_well(child);
}

TEST_F(shared, child_holds_what_the_parent_does_not)
{
	ASSERT_CHECKPOINT(&self->stage, "child_alone");
	ASSERT_RELINKED(2);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * The last task of a tree cannot be saved when the names for the others were
 * made: they go.
 *
 * 1. parent and child each hold an orphan; the child has a socket.
 * 2. Checkpoint: EBADF. No name is left.
 */
static void hold_a_socket(void)
{
	new_orphan("b", "child");
	MUST(socket(AF_UNIX, SOCK_STREAM, 0));
	say("held");
	await("end");
	_exit(WELL);
}

SUBJECT(child_with_socket)
{
	int fd = new_orphan("a", "parent");
	pid_t child = MUST(fork());

	if (!child)
		hold_a_socket();
	await("held");
	event();
	must_be_orphan(fd, "parent");
	say("end");
	must_end_well(child);
}

TEST_F(shared, child_cannot_be_saved)
{
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "child_with_socket");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

SUBJECT_HARNESS_MAIN
