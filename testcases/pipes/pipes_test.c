// SPDX-License-Identifier: GPL-2.0
/*
 * Pipes, FIFOs and event counters: files whose contents are nowhere else.
 *
 * What was written and not read must be there after the restart, in the order
 * and the portions in which it was written; the room that was left must be what
 * is left; and whose other end was closed must see just that.
 *
 * The checkpoint only looks: the original, which goes on until it is told of
 * its image, has all of it, too.
 *
 * A kernel without the series does not know the system call: ENOSYS. One that
 * has the series without the patch in question refuses the file: EBADF.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "names.h"
#include "subject.h"

#define PAGE 4096

FIXTURE(pipes)
{
	struct stage stage;
};

FIXTURE_SETUP(pipes)
{
	strcpy(self->stage.folder, "/tmp/stage.XXXXXX");
	if (!mkdtemp(self->stage.folder))
		FAIL("mkdtemp: %s, expected success", errno_text(-errno).text);
	self->stage.event = EVENT_TREE;
}

FIXTURE_TEARDOWN(pipes)
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

/* One read gives just this text. */
#define MUST_READ(wanted, fd) do {							\
	const char *__wanted = (wanted);						\
	char __seen[256] = "";								\
											\
	MUST(read(fd, __seen, sizeof(__seen) - 1));					\
	if (strcmp(__wanted, __seen))							\
		SUBJECT_FAIL("read of %s: '%s', expected '%s'", #fd, __seen, __wanted);	\
} while (0)

/* What poll() says of a descriptor, besides POLLNVAL. */
static int poll_of(int fd)
{
	struct pollfd one = { .fd = fd, .events = POLLIN | POLLOUT };

	MUST(poll(&one, 1, 0));
	return one.revents;
}

/* Writes pages, the first of 'a', the second of 'b', until there is no room. Returns how many. */
static int fill(int fd)
{
	char page[PAGE];
	int pages = 0;

	for (;; pages++) {
		memset(page, 'a' + pages, sizeof(page));
		if (write(fd, page, sizeof(page)) != sizeof(page))
			return pages;
	}
}

/* Whether such a page, or what is left of it, comes next. */
static void must_read_page(int fd, int number, size_t length)
{
	char page[PAGE];

	MUST_EQ((long)length, read(fd, page, length));
	for (size_t i = 0; i < length; i++)
		MUST_EQ('a' + number, page[i]);
}

/*
 * 1. one task has both ends; two texts are in the pipe. The end for reading
 *    does not wait.
 * 2. Checkpoint; restart.
 * 3. Descriptors, flags, size as before. The texts are read; then there is nothing.
 */
SUBJECT(both_ends)
{
	int ends[2], flags[2], size;

	MUST(pipe2(ends, O_CLOEXEC));
	MUST(fcntl(ends[0], F_SETFL, O_NONBLOCK));
	MUST_WRITE(ends[1], "first ");
	MUST_WRITE(ends[1], "second");
	for (int i = 0; i < 2; i++)
		flags[i] = MUST(fcntl(ends[i], F_GETFL));
	size = MUST(fcntl(ends[0], F_GETPIPE_SZ));
	come_back();
	for (int i = 0; i < 2; i++) {
		MUST_EQ(flags[i], fcntl(ends[i], F_GETFL));
		MUST_EQ(FD_CLOEXEC, fcntl(ends[i], F_GETFD));
	}
	MUST_EQ(size, fcntl(ends[1], F_GETPIPE_SZ));
	MUST_READ("first second", ends[0]);
	MUST_FAIL(-EAGAIN, read(ends[0], &size, 1));
	MUST_WRITE(ends[1], "third");
	MUST_READ("third", ends[0]);
}

TEST_F(pipes, pipe_in_one_task)
{
	ASSERT_CHECKPOINT(&self->stage, "both_ends");
	ASSERT_RESTART(&self->stage);
}

TEST_F(pipes, pipe_of_a_task_that_checkpoints_itself)
{
	self->stage.event = EVENT_SELF;
	ASSERT_CHECKPOINT(&self->stage, "both_ends");
	ASSERT_RESTART(&self->stage);
}

/*
 * The checkpoint looks without taking: the original, which goes on, reads what
 * it wrote. Then all of it comes back once more from the image.
 */
SUBJECT(looked_at)
{
	int ends[2];

	MUST(pipe2(ends, O_NONBLOCK | O_CLOEXEC));
	MUST_WRITE(ends[1], "kept");
	if (event() == REFUSED)
		return;
	MUST_READ("kept", ends[0]);
	MUST_FAIL(-EAGAIN, read(ends[0], ends, 1));
}

TEST_F(pipes, pipe_of_the_original_is_left_alone)
{
	ASSERT_CHECKPOINT(&self->stage, "looked_at");
	ASSERT_RESTART(&self->stage);
}

/*
 * 1. a child writes, its parent reads; each has closed the other end. "before"
 *    is in the pipe.
 * 2. Checkpoint; restart.
 * 3. The child writes "after" and ends: the parent reads both, then the end.
 */
SUBJECT(two_tasks)
{
	int data[2], go[2];
	char byte;
	pid_t child;

	MUST(pipe(data));
	MUST(pipe(go));
	child = MUST(fork());
	if (!child) {
		close(data[0]);
		close(go[1]);
		if (write(data[1], "before", 6) != 6 || read(go[0], &byte, 1) != 1)
			_exit(1);
		_exit(write(data[1], "after", 5) != 5);
	}
	close(data[1]);
	close(go[0]);
	while (poll_of(data[0]) != POLLIN)
		usleep(1000);
	come_back();
	MUST_WRITE(go[1], "!");
	must_end(child, 0);
	MUST_READ("beforeafter", data[0]);
	MUST_EQ(0, read(data[0], &byte, 1));
}

TEST_F(pipes, pipe_between_tasks)
{
	ASSERT_CHECKPOINT(&self->stage, "two_tasks");
	ASSERT_RESTART(&self->stage);
}

/*
 * 1. a pipe of two pages is full.
 * 2. Checkpoint; restart.
 * 3. It has two pages, no room, and what was in it.
 */
SUBJECT(full)
{
	int ends[2];

	MUST(pipe2(ends, O_NONBLOCK));
	MUST_EQ(2 * PAGE, fcntl(ends[0], F_SETPIPE_SZ, 2 * PAGE));
	MUST_EQ(2, fill(ends[1]));
	come_back();
	MUST_EQ(2 * PAGE, fcntl(ends[0], F_GETPIPE_SZ));
	MUST_FAIL(-EAGAIN, write(ends[1], "x", 1));
	must_read_page(ends[0], 0, PAGE);
	must_read_page(ends[0], 1, PAGE);
	MUST_FAIL(-EAGAIN, read(ends[0], ends, 1));
	MUST_EQ(2, fill(ends[1]));
}

TEST_F(pipes, pipe_that_is_full)
{
	ASSERT_CHECKPOINT(&self->stage, "full");
	ASSERT_RESTART(&self->stage);
}

/* The greatest that anybody may have; what is in it is more than a record of pages takes. */
SUBJECT(great)
{
	int ends[2];

	MUST(pipe2(ends, O_NONBLOCK));
	MUST_EQ(256 * PAGE, fcntl(ends[0], F_SETPIPE_SZ, 256 * PAGE));
	MUST_EQ(256, fill(ends[1]));
	come_back();
	MUST_EQ(256 * PAGE, fcntl(ends[0], F_GETPIPE_SZ));
	MUST_FAIL(-EAGAIN, write(ends[1], "x", 1));
	for (int page = 0; page < 256; page++) {
		char seen[PAGE];

		MUST_EQ(PAGE, read(ends[0], seen, PAGE));
		MUST_EQ((char)('a' + page), seen[0]);
		MUST_EQ((char)('a' + page), seen[PAGE - 1]);
	}
	MUST_FAIL(-EAGAIN, read(ends[0], ends, 1));
}

TEST_F(pipes, pipe_of_a_megabyte)
{
	ASSERT_CHECKPOINT(&self->stage, "great");
	ASSERT_RESTART(&self->stage);
}

/*
 * A buffer that was read in part still takes the room of a whole one.
 *
 * 1. fill a pipe, read a part of the first page.
 * 2. Checkpoint; restart.
 * 3. There is still no room; the rest of the page comes first.
 */
SUBJECT(partly_read)
{
	int ends[2], pages;

	MUST(pipe2(ends, O_NONBLOCK));
	pages = fill(ends[1]);
	must_read_page(ends[0], 0, 1000);
	MUST_FAIL(-EAGAIN, write(ends[1], "x", 1));
	come_back();
	MUST_FAIL(-EAGAIN, write(ends[1], "x", 1));
	must_read_page(ends[0], 0, PAGE - 1000);
	for (int page = 1; page < pages; page++)
		must_read_page(ends[0], page, PAGE);
	MUST_FAIL(-EAGAIN, read(ends[0], ends, 1));
}

TEST_F(pipes, pipe_that_was_read_in_part)
{
	ASSERT_CHECKPOINT(&self->stage, "partly_read");
	ASSERT_RESTART(&self->stage);
}

/* With O_DIRECT a pipe holds packets, and a read never gives two of them, nor the rest of one. */
SUBJECT(packets)
{
	int ends[2];
	char two[3] = "";

	MUST(pipe2(ends, O_DIRECT | O_NONBLOCK));
	MUST_WRITE(ends[1], "one");
	MUST_WRITE(ends[1], "two");
	MUST_WRITE(ends[1], "three");
	come_back();
	MUST_EQ(O_DIRECT, fcntl(ends[1], F_GETFL) & O_DIRECT);
	MUST_READ("one", ends[0]);
	MUST_EQ(2, read(ends[0], two, 2));
	MUST_READ("three", ends[0]);
	MUST_WRITE(ends[1], "four");
	MUST_WRITE(ends[1], "five");
	MUST_READ("four", ends[0]);
}

TEST_F(pipes, pipe_of_packets)
{
	ASSERT_CHECKPOINT(&self->stage, "packets");
	ASSERT_RESTART(&self->stage);
}

/*
 * 1. two pipes: of one all ends for writing are closed, of the other all for reading.
 * 2. Checkpoint; restart.
 * 3. The first: what is in it, then the end. The second: EPIPE.
 */
SUBJECT(half_closed)
{
	int read_only[2], write_only[2];
	char byte;

	MUST_EQ(0, signal(SIGPIPE, SIG_IGN) == SIG_ERR);
	MUST(pipe(read_only));
	MUST(pipe(write_only));
	MUST_WRITE(read_only[1], "last");
	close(read_only[1]);
	close(write_only[0]);
	come_back();
	MUST_EQ(POLLIN | POLLHUP, poll_of(read_only[0]));
	MUST_READ("last", read_only[0]);
	MUST_EQ(0, read(read_only[0], &byte, 1));
	MUST_EQ(POLLHUP, poll_of(read_only[0]));
	MUST_FAIL(-EPIPE, write(write_only[1], "x", 1));
	MUST_EQ(POLLOUT | POLLERR, poll_of(write_only[1]));
}

TEST_F(pipes, pipe_with_one_end_closed)
{
	ASSERT_CHECKPOINT(&self->stage, "half_closed");
	ASSERT_RESTART(&self->stage);
}

/*
 * An end by dup() is the same open file; one by /proc/self/fd is another of the
 * same pipe, and may be of both kinds.
 */
SUBJECT(more_ends)
{
	int ends[2], same, other;
	char path[64];

	MUST(pipe(ends));
	same = MUST(dup(ends[0]));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
	other = MUST(open(path, O_RDWR));
	MUST_WRITE(ends[1], "data");
	come_back();
	MUST(fcntl(ends[0], F_SETFL, O_NONBLOCK));
	MUST_EQ(O_NONBLOCK, fcntl(same, F_GETFL) & O_NONBLOCK);
	MUST_EQ(0, fcntl(other, F_GETFL) & O_NONBLOCK);
	MUST_EQ(O_RDWR, fcntl(other, F_GETFL) & O_ACCMODE);
	MUST_EQ(subject_stat(ends[0]).st_ino, subject_stat(other).st_ino);
	MUST_WRITE(other, "more");
	MUST_READ("datamore", same);
	close(ends[1]);
	MUST_FAIL(-EAGAIN, read(ends[0], path, 1));
	close(other);
	MUST_EQ(0, read(ends[0], path, 1));
}

TEST_F(pipes, pipe_with_more_ends)
{
	ASSERT_CHECKPOINT(&self->stage, "more_ends");
	ASSERT_RESTART(&self->stage);
}

/* A pipe may hold pages of a file. What they held at the checkpoint is in it after the restart. */
SUBJECT(spliced)
{
	int ends[2], fd = MUST(open("a", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));

	MUST_WRITE(fd, "of the file");
	MUST(pipe(ends));
	MUST_EQ(8, splice(fd, &(off64_t){ 3 }, ends[1], NULL, 8, 0));
	come_back();
	MUST_EQ(6, pwrite(fd, "@@@@@@", 6, 3));
	MUST_READ("the file", ends[0]);
	close(fd);
	MUST(unlink("a"));
}

TEST_F(pipes, pipe_with_pages_of_a_file)
{
	ASSERT_CHECKPOINT(&self->stage, "spliced");
	ASSERT_RESTART(&self->stage);
}

/*
 * 1. one child waits in read() of an empty pipe, another in write() to a full one.
 * 2. Checkpoint; restart.
 * 3. What is written reaches the first, what is read lets the second go on.
 */
SUBJECT(waiting)
{
	int empty[2], full[2], pages;
	pid_t reader, writer;
	char byte;

	MUST(pipe(empty));
	MUST(pipe2(full, O_NONBLOCK));
	pages = fill(full[1]);
	MUST(fcntl(full[1], F_SETFL, 0));
	reader = MUST(fork());
	if (!reader)
		_exit(read(empty[0], &byte, 1) == 1 && byte == 'r' ? 0 : 1);
	writer = MUST(fork());
	if (!writer)
		_exit(write(full[1], "w", 1) == 1 ? 0 : 1);
	usleep(200000);
	come_back();
	MUST_WRITE(empty[1], "r");
	must_end(reader, 0);
	for (int page = 0; page < pages; page++)
		must_read_page(full[0], page, PAGE);
	must_end(writer, 0);
	MUST_READ("w", full[0]);
}

TEST_F(pipes, pipe_that_is_waited_for)
{
	ASSERT_CHECKPOINT(&self->stage, "waiting");
	ASSERT_RESTART(&self->stage);
}

/* A restarted pipe is one that can be checkpointed. */
SUBJECT(twice)
{
	int ends[2], counter = MUST(eventfd(7, EFD_CLOEXEC));
	uint64_t seen;

	MUST(pipe(ends));
	MUST_WRITE(ends[1], "twice");
	come_back();
	come_back();
	MUST_READ("twice", ends[0]);
	MUST_EQ(8, read(counter, &seen, 8));
	MUST_EQ(7, seen);
}

TEST_F(pipes, pipe_that_is_checkpointed_twice)
{
	self->stage.event = EVENT_SELF;
	ASSERT_CHECKPOINT(&self->stage, "twice");
	ASSERT_RESTART(&self->stage);
	ASSERT_EQ(2, self->stage.checkpoints);
	ASSERT_RESTART(&self->stage);
}

/* Leaves a process behind that is no descendant, and waits until it is. */
static void leave_behind(void)
{
	pid_t child = MUST(fork());

	if (!child) {
		if (!fork())
			for (;;)
				pause();
		_exit(0);
	}
	must_end(child, 0);
}

/*
 * 1. a process that is none of the tree's has the ends of a pipe open.
 * 2. Checkpoint: EBUSY. The log names the descriptor and the pipe.
 */
SUBJECT(shared_file)
{
	int ends[2];

	MUST(pipe(ends));
	leave_behind();
	event();
}

TEST_F(pipes, pipe_that_others_have_is_refused)
{
	ASSERT_CHECKPOINT_ERRNO(-EBUSY, &self->stage, "shared_file");
	ASSERT_LOG(&self->stage, " path pipe:[");
	ASSERT_LOG(&self->stage, " fd ");
	ASSERT_LOG(&self->stage, "shared with a task outside the checkpoint");
}

/* The same when they have opened an end of their own. */
SUBJECT(other_end)
{
	int ends[2];

	MUST(pipe(ends));
	if (!MUST(fork())) {
		close(ends[0]);
		leave_behind();
		_exit(0);
	}
	close(ends[1]);
	MUST(wait(NULL));
	event();
}

TEST_F(pipes, pipe_whose_other_end_others_have_is_refused)
{
	ASSERT_CHECKPOINT_ERRNO(-EBUSY, &self->stage, "other_end");
	ASSERT_LOG(&self->stage, "fd 3 path pipe:[");
}

static int new_fifo(int flags)
{
	MUST(mkfifo("fifo", 0600));
	return MUST(open("fifo", flags));
}

/*
 * 1. a FIFO: parent and child have an end each, and "before" is in it.
 * 2. Checkpoint; restart.
 * 3. The child reads it, and what the parent writes. Who opens the FIFO by its
 *    name finds the same one.
 */
SUBJECT(named)
{
	int fd = new_fifo(O_RDWR | O_NONBLOCK), writer = MUST(open("fifo", O_WRONLY)), reader;
	char seen[32] = "";
	pid_t child;

	MUST_WRITE(writer, "before");
	child = MUST(fork());
	if (!child) {
		close(writer);
		reader = open("fifo", O_RDONLY);
		close(fd);
		for (int have = 0; have < 11; usleep(1000))
			have += read(reader, seen + have, sizeof(seen) - 1 - have);
		_exit(strcmp(seen, "beforeafter") != 0);
	}
	usleep(100000);
	close(fd);
	/* What the child has read of it is the child's. */
	come_back();
	MUST_WRITE(writer, "after");
	must_end(child, 0);
	fd = MUST(open("fifo", O_RDONLY | O_NONBLOCK));
	MUST_WRITE(writer, "again");
	MUST_READ("again", fd);
	MUST(unlink("fifo"));
}

TEST_F(pipes, fifo_between_tasks)
{
	ASSERT_CHECKPOINT(&self->stage, "named");
	ASSERT_RESTART(&self->stage);
}

/* Data in a FIFO, which a new FIFO of that name would not have. */
SUBJECT(fifo_data)
{
	int fd = new_fifo(O_RDWR | O_NONBLOCK | O_CLOEXEC);
	struct stat before = subject_stat(fd);

	MUST_EQ(2 * PAGE, fcntl(fd, F_SETPIPE_SZ, 2 * PAGE));
	MUST_WRITE(fd, "waiting");
	come_back();
	MUST_EQ(before.st_ino, subject_stat(fd).st_ino);
	MUST_EQ(2 * PAGE, fcntl(fd, F_GETPIPE_SZ));
	MUST_READ("waiting", fd);
	MUST_FAIL(-EAGAIN, read(fd, &before, 1));
	MUST(unlink("fifo"));
}

TEST_F(pipes, fifo_with_data)
{
	ASSERT_CHECKPOINT(&self->stage, "fifo_data");
	ASSERT_RESTART(&self->stage);
}

/*
 * Who opens a FIFO for reading without waiting sees no hangup before there was
 * a writer; who has seen one does.
 *
 * 1. two readers: of a FIFO without a writer, of one whose writer is gone.
 * 2. Checkpoint; restart.
 * 3. No hangup for the first; one for the second. A writer comes: it is read.
 */
SUBJECT(readers)
{
	int waiting, left, writer;
	char byte;

	waiting = new_fifo(O_RDONLY | O_NONBLOCK);
	MUST(mkfifo("left", 0600));
	left = MUST(open("left", O_RDONLY | O_NONBLOCK));
	close(MUST(open("left", O_WRONLY)));
	MUST_EQ(0, poll_of(waiting));
	MUST_EQ(POLLHUP, poll_of(left));
	come_back();
	MUST_EQ(0, poll_of(waiting));
	MUST_EQ(POLLHUP, poll_of(left));
	MUST_EQ(0, read(waiting, &byte, 1));
	writer = MUST(open("fifo", O_WRONLY | O_NONBLOCK));
	MUST_FAIL(-EAGAIN, read(waiting, &byte, 1));
	MUST_WRITE(writer, "come");
	MUST_READ("come", waiting);
	close(writer);
	MUST_EQ(POLLHUP, poll_of(waiting));
	MUST(unlink("fifo"));
	MUST(unlink("left"));
}

TEST_F(pipes, fifo_without_a_writer)
{
	ASSERT_CHECKPOINT(&self->stage, "readers");
	ASSERT_RESTART(&self->stage);
}

/*
 * An end for writing could not be opened again without a reader, and would wait for one.
 *
 * 1. open both ends, write, close the end for reading.
 * 2. Checkpoint; restart.
 * 3. EPIPE; a reader that comes finds what was written.
 */
SUBJECT(writer)
{
	int reader = new_fifo(O_RDONLY | O_NONBLOCK), writer = MUST(open("fifo", O_WRONLY));

	MUST_EQ(0, signal(SIGPIPE, SIG_IGN) == SIG_ERR);
	MUST_WRITE(writer, "unread");
	close(reader);
	come_back();
	MUST_FAIL(-EPIPE, write(writer, "x", 1));
	MUST_EQ(O_WRONLY, fcntl(writer, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
	reader = MUST(open("fifo", O_RDONLY));
	MUST_READ("unread", reader);
	MUST(unlink("fifo"));
}

TEST_F(pipes, fifo_without_a_reader)
{
	ASSERT_CHECKPOINT(&self->stage, "writer");
	ASSERT_RESTART(&self->stage);
}

/* A child waits in open() until somebody opens the other end. */
SUBJECT(opening)
{
	pid_t child;
	int fd;

	MUST(mkfifo("fifo", 0600));
	child = MUST(fork());
	if (!child) {
		char byte;

		fd = open("fifo", O_RDONLY);
		_exit(fd < 0 || read(fd, &byte, 1) != 1);
	}
	usleep(200000);
	come_back();
	fd = MUST(open("fifo", O_WRONLY));
	MUST_WRITE(fd, "!");
	must_end(child, 0);
	MUST(unlink("fifo"));
}

TEST_F(pipes, fifo_that_is_being_opened)
{
	ASSERT_CHECKPOINT(&self->stage, "opening");
	ASSERT_RESTART(&self->stage);
}

/* O_PATH names a FIFO and opens no end of it. */
SUBJECT(fifo_path)
{
	int fd = new_fifo(O_PATH);
	char byte;

	come_back();
	MUST_EQ(1, S_ISFIFO(subject_stat(fd).st_mode));
	MUST_FAIL(-EBADF, read(fd, &byte, 1));
	MUST_FAIL(-ENXIO, open("fifo", O_WRONLY | O_NONBLOCK));
	MUST(unlink("fifo"));
}

TEST_F(pipes, fifo_by_path)
{
	ASSERT_CHECKPOINT(&self->stage, "fifo_path");
	ASSERT_RESTART(&self->stage);
}

/*
 * 1. a FIFO with data; checkpoint.
 * 2. Somebody has it open: restart gives EBUSY, and nothing got into it.
 * 3. They close it; the restart can be tried again.
 */
TEST_F(pipes, fifo_in_use_is_not_taken)
{
	char seen[8];
	int fd;

	ASSERT_CHECKPOINT(&self->stage, "fifo_data");
	fd = ASSERT_OK(open("fifo", O_RDWR | O_NONBLOCK | O_CLOEXEC));
	ASSERT_RESTART_ERRNO(-EBUSY, &self->stage);
	ASSERT_ERRNO_EQ(-EAGAIN, read(fd, seen, sizeof(seen)));
	close(fd);
	ASSERT_RESTART(&self->stage);
}

/* Something else has the name: never what was not meant. */
TEST_F(pipes, fifo_whose_name_is_another_file)
{
	ASSERT_CHECKPOINT(&self->stage, "fifo_data");
	ASSERT_OK(unlink("fifo"));
	close(ASSERT_OK(open("fifo", O_WRONLY | O_CREAT | O_EXCL, 0600)));
	ASSERT_RESTART_ERRNO(-EINVAL, &self->stage);
	ASSERT_OK(unlink("fifo"));
}

/* Counts of what was signalled: as they were, also as a semaphore, also for a child that shares one. */
SUBJECT(counters)
{
	int plain = MUST(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), semaphore, shared;
	uint64_t value = 1ULL << 40, seen;
	pid_t child;

	MUST_EQ(8, write(plain, &value, 8));
	semaphore = MUST(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
	shared = MUST(eventfd(0, 0));
	child = MUST(fork());
	if (!child)
		_exit(read(shared, &seen, 8) == 8 && seen == 5 ? 0 : 1);
	usleep(100000);
	come_back();
	MUST_EQ(O_RDWR | O_NONBLOCK, fcntl(plain, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
	MUST_EQ(8, read(plain, &seen, 8));
	MUST_EQ(1LL << 40, seen);
	MUST_FAIL(-EAGAIN, read(plain, &seen, 8));
	for (int i = 0; i < 2; i++) {
		MUST_EQ(8, read(semaphore, &seen, 8));
		MUST_EQ(1, seen);
	}
	MUST_FAIL(-EAGAIN, read(semaphore, &seen, 8));
	value = 5;
	MUST_EQ(8, write(shared, &value, 8));
	must_end(child, 0);
}

TEST_F(pipes, event_counters)
{
	ASSERT_CHECKPOINT(&self->stage, "counters");
	ASSERT_RESTART(&self->stage);
}

/* As a pipe's: a count that others may read is not only the tree's. */
SUBJECT(shared_counter)
{
	MUST(eventfd(3, 0));
	leave_behind();
	event();
}

TEST_F(pipes, event_counter_that_others_have_is_refused)
{
	ASSERT_CHECKPOINT_ERRNO(-EBUSY, &self->stage, "shared_counter");
	ASSERT_LOG(&self->stage, "fd 3 path anon_inode:[eventfd]: shared");
}

SUBJECT_HARNESS_MAIN
