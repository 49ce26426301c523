// SPDX-License-Identifier: GPL-2.0
/*
 * Unlinked things that are no plain files: nodes, FIFOs, sockets, links,
 * descriptors that were opened by O_PATH, memory files.
 *
 * What checkpoint cannot save it refuses, whether it has a name or not. A
 * refusal must come before a name is made, or take it away: the directory is
 * empty after each. What it can save comes back as what it was, never as
 * another thing of the same name.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "orphan.h"
#include "relink.h"

FIXTURE(special)
{
	struct stage stage;
};

FIXTURE_SETUP(special)
{
	stage_set_up(_metadata, &self->stage);
}

FIXTURE_TEARDOWN(special)
{
	stage_tear_down(_metadata, &self->stage);
}

/*
 * A descriptor that only names its file. There is no access to lose, but the
 * inode must be the same.
 *
 * 1. open a by O_PATH, unlink a.
 * 2. Checkpoint: one name. Restart.
 * 3. The same inode, no link; nothing can be read through the descriptor.
 */
SUBJECT(path_only)
{
	struct stat before;
	char byte;
	int fd;

	close(new_file("a", "named"));
	fd = MUST(open("a", O_PATH));
	MUST(unlink("a"));
	before = subject_stat(fd);
	come_back();
	MUST_EQ(before.st_ino, subject_stat(fd).st_ino);
	MUST_EQ(0, subject_stat(fd).st_nlink);
	MUST_FAIL(-EBADF, read(fd, &byte, 1));
	MUST_EQ(O_PATH, fcntl(fd, F_GETFL) & O_PATH);
}

TEST_F(special, path_descriptor)
{
	ASSERT_CHECKPOINT(&self->stage, "path_only");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A node of /dev/null's kind: its name is all there is to it.
 *
 * 1. make a node of the null device, open it, unlink it.
 * 2. Checkpoint: one name, of a node of that device. Restart.
 * 3. The descriptor is that node, without a link, and swallows what is written.
 */
SUBJECT(null_node)
{
	struct stat before;
	int fd;

	MUST(mknod("null", S_IFCHR | 0600, makedev(1, 3)));
	fd = MUST(open("null", O_RDWR));
	MUST(unlink("null"));
	before = subject_stat(fd);
	come_back();
	MUST_EQ(before.st_ino, subject_stat(fd).st_ino);
	MUST_EQ(before.st_rdev, subject_stat(fd).st_rdev);
	MUST_EQ(0, subject_stat(fd).st_nlink);
	MUST_WRITE(fd, "swallowed");
	MUST_EQ(0, read(fd, &before, 1));
}

TEST_F(special, node_of_the_null_device)
{
	struct relinked relinked;

	ASSERT_CHECKPOINT(&self->stage, "null_node");
	relinked = ASSERT_RELINKED(1);
	ASSERT_TRUE(S_ISCHR(stat_of(_metadata, relinked.path[0]).st_mode));
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A FIFO: what is in it is nowhere but in it, and a new one of that name is
 * another.
 *
 * 1. make a FIFO, open both ends, write, unlink it; make another of that name.
 * 2. Checkpoint: one name, of a FIFO, though two files are open. Restart.
 * 3. The inode of before, without a link; what was written is read. The other
 *    FIFO is empty.
 */
SUBJECT(fifo)
{
	struct stat before;
	int reader, writer, other;
	char seen[16] = "";

	MUST(mkfifo("fifo", 0600));
	reader = MUST(open("fifo", O_RDONLY | O_NONBLOCK));
	writer = MUST(open("fifo", O_WRONLY));
	MUST_WRITE(writer, "unread");
	MUST(unlink("fifo"));
	MUST(mkfifo("fifo", 0600));
	before = subject_stat(reader);
	come_back();
	MUST_EQ(before.st_ino, subject_stat(reader).st_ino);
	MUST_EQ(before.st_ino, subject_stat(writer).st_ino);
	MUST_EQ(0, subject_stat(reader).st_nlink);
	other = MUST(open("fifo", O_RDONLY | O_NONBLOCK));
	MUST_EQ(0, read(other, seen, sizeof(seen)));
	MUST_WRITE(writer, ", more");
	MUST_EQ(12, read(reader, seen, sizeof(seen)));
	MUST_EQ(0, strcmp(seen, "unread, more"));
	close(writer);
	MUST_EQ(0, read(reader, seen, sizeof(seen)));
	MUST(unlink("fifo"));
}

TEST_F(special, fifo_with_data)
{
	struct relinked relinked;

	ASSERT_CHECKPOINT(&self->stage, "fifo");
	relinked = ASSERT_RELINKED(1);
	ASSERT_TRUE(S_ISFIFO(stat_of(_metadata, relinked.path[0]).st_mode));
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * To open the end for writing of a FIFO without a reader fails, or waits for one.
 *
 * 1. open both ends, write, close the end for reading, unlink the FIFO.
 * 2. Checkpoint: one name. Restart.
 * 3. EPIPE. Who opens the other end, which takes /proc/self/fd, reads what was written.
 */
SUBJECT(fifo_writer)
{
	int reader, writer;
	char path[64], seen[16] = "";

	MUST_EQ(0, signal(SIGPIPE, SIG_IGN) == SIG_ERR);
	MUST(mkfifo("fifo", 0600));
	reader = MUST(open("fifo", O_RDONLY | O_NONBLOCK));
	writer = MUST(open("fifo", O_WRONLY));
	MUST_WRITE(writer, "unread");
	close(reader);
	MUST(unlink("fifo"));
	come_back();
	MUST_EQ(O_WRONLY, fcntl(writer, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
	MUST_FAIL(-EPIPE, write(writer, "x", 1));
	MUST_EQ(0, subject_stat(writer).st_nlink);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", writer);
	reader = MUST(open(path, O_RDONLY));
	MUST_EQ(6, read(reader, seen, sizeof(seen)));
	MUST_EQ(0, strcmp(seen, "unread"));
}

TEST_F(special, fifo_end_for_writing_only)
{
	ASSERT_CHECKPOINT(&self->stage, "fifo_writer");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A restart that fails takes nothing: the name stays, and the FIFO stays empty.
 *
 * 1. checkpoint as above; somebody opens the name.
 * 2. Restart: EBUSY. The name is there.
 * 3. They close it. Restart.
 */
TEST_F(special, fifo_that_somebody_opened)
{
	struct relinked relinked;
	int fd;

	ASSERT_CHECKPOINT(&self->stage, "fifo");
	relinked = ASSERT_RELINKED(1);
	fd = ASSERT_OK(open(relinked.path[0], O_RDWR | O_NONBLOCK | O_CLOEXEC));
	ASSERT_RESTART_ERRNO(-EBUSY, &self->stage);
	ASSERT_RELINKED(1);
	close(fd);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/* Refused: the task goes on, and the orphan that it also has was given no name that stays. */
static void must_be_refused(int orphan)
{
	enum role role = event();

	if (role == REFUSED)
		must_be_orphan(orphan, "orphan");
}

/*
 * 1. open a file and unlink it; hold the block device by a node, unlink that.
 * 2. Checkpoint: EBADF. No name is left.
 */
SUBJECT(block_node)
{
	int orphan = new_orphan("a", "orphan");

	MUST(mknod("disk", S_IFBLK | 0600, makedev(7, 0)));
	MUST(open("disk", O_PATH));
	MUST(unlink("disk"));
	must_be_refused(orphan);
}

TEST_F(special, node_of_a_block_device)
{
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "block_node");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. bind a socket to a name, unlink the name; the socket is open.
 * 2. Checkpoint: EBADF. No name is left.
 */
SUBJECT(bound_socket)
{
	int orphan = new_orphan("a", "orphan");
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "socket" };
	int fd = MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

	MUST(bind(fd, (struct sockaddr *)&address, sizeof(address)));
	MUST(unlink("socket"));
	must_be_refused(orphan);
}

TEST_F(special, socket_that_was_bound)
{
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "bound_socket");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. hold a symbolic link by O_PATH | O_NOFOLLOW, unlink it.
 * 2. Checkpoint: EBADF. Neither the link nor what it led to gets a name.
 */
SUBJECT(symbolic_link)
{
	int orphan = new_orphan("a", "orphan");

	close(new_file("target", "target"));
	MUST(symlink("target", "link"));
	MUST(open("link", O_PATH | O_NOFOLLOW));
	MUST(unlink("link"));
	must_be_refused(orphan);
}

TEST_F(special, symbolic_link)
{
	self->stage.remains = "lost+found target";
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "symbolic_link");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A memory file has no directory to get a name in.
 *
 * 1. make a memory file; open a file and unlink it.
 * 2. Checkpoint: EBADF, which the log explains. No name is left.
 */
SUBJECT(memory_file)
{
	MUST(memfd_create("a", MFD_CLOEXEC));
	must_be_refused(new_orphan("a", "orphan"));
}

TEST_F(special, memory_file)
{
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "memory_file");
	ASSERT_LOG(&self->stage, "memory files without a name are not supported");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * POSIX shared memory is a file of the tmpfs on /dev/shm. Without the directory
 * there is no place for a name; with it, it is a file like any other.
 *
 * 1. shm_open, map, shm_unlink.
 * 2. Checkpoint without /dev/shm/lost+found/checkpoint: ENOENT.
 */
static void hold_shared_memory(void)
{
	int fd = MUST(open("/dev/shm/lab", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
	char *memory;

	MUST(ftruncate(fd, 4096));
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		SUBJECT_FAIL("mmap: %s", errno_text(-errno).text);
	strcpy(memory, "shared");
	MUST(unlink("/dev/shm/lab"));
	if (event() != RESTARTED)
		return;
	MUST_EQ(0, strcmp(memory, "shared"));
	MUST_HOLD("shared", fd);
	MUST_EQ(0, subject_stat(fd).st_nlink);
}

SUBJECT(shared_memory)
{
	hold_shared_memory();
}

TEST_F(special, shared_memory_without_the_directory)
{
	ASSERT_CHECKPOINT_ERRNO(-ENOENT, &self->stage, "shared_memory");
	ASSERT_NAMES("/dev/shm", "");
}

/*
 * 1. as above; make the directory.
 * 2. Checkpoint: one name there, none on the filesystem under test. Restart.
 * 3. The mapping has its contents, and shares them with the descriptor.
 */
TEST_F(special, shared_memory_with_the_directory)
{
	ASSERT_OK(mkdir("/dev/shm/lost+found", 0700));
	ASSERT_OK(mkdir("/dev/shm/lost+found/checkpoint", 0700));
	ASSERT_CHECKPOINT(&self->stage, "shared_memory");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_EQ(1, names_in(_metadata, "/dev/shm/lost+found/checkpoint").count);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES("/dev/shm/lost+found/checkpoint", "");
}

SUBJECT_HARNESS_MAIN
