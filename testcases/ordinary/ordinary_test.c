// SPDX-License-Identifier: GPL-2.0
/*
 * What every program may rely on about unlinked files, whether or not the
 * kernel can give them names: who does not checkpoint must not notice the
 * series. Each case is what a test of xfstests looks at, written anew for one
 * guest without a scratch device; all pass on every kernel.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "errno_assert.h"
#include "phase.h"

enum { ROUNDS = 400, ORPHANS = 600 };

static void proc_path(char *path, size_t size, int fd)
{
	snprintf(path, size, "/proc/self/fd/%d", fd);
}

static int link_by_descriptor(int fd, const char *name)
{
	char path[32];

	proc_path(path, sizeof(path), fd);
	return linkat(AT_FDCWD, path, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

static unsigned long links_of(struct __test_metadata *_metadata, int fd)
{
	struct stat found;

	ASSERT_OK(fstat(fd, &found));
	return found.st_nlink;
}

static void assert_text(struct __test_metadata *_metadata, const char *path, const char *wanted)
{
	cleanup_close int fd = ASSERT_OK(open(path, O_RDONLY));
	char seen[64] = "";

	ASSERT_OK(read(fd, seen, sizeof(seen) - 1));
	ASSERT_STREQ(wanted, seen);
}

/*
 * What O_TMPFILE made can be given a name once, as it says; with O_EXCL never.
 *
 * 1. O_TMPFILE, write, link: one link, the text. Unlink, link again: ENOENT,
 *    as the file has had its name.
 * 2. O_TMPFILE | O_EXCL, link: ENOENT.
 */
TEST(temporary_file_is_linked)
{
	int fd = ASSERT_OK(open(".", O_TMPFILE | O_RDWR, 0600));
	int exclusive = ASSERT_OK(open(".", O_TMPFILE | O_EXCL | O_RDWR, 0600));

	ASSERT_EQ(0, links_of(_metadata, fd));
	ASSERT_EQ(4, write(fd, "text", 4));
	ASSERT_OK(link_by_descriptor(fd, "a"));
	ASSERT_EQ(1, links_of(_metadata, fd));
	assert_text(_metadata, "a", "text");
	ASSERT_OK(unlink("a"));
	ASSERT_ERRNO_EQ(-ENOENT, link_by_descriptor(fd, "a"));
	ASSERT_ERRNO_EQ(-ENOENT, link_by_descriptor(exclusive, "b"));
}

/*
 * No link to a file whose last name is gone, whoever comes first.
 *
 * 1. one task opens a file, unlinks it, and links it by its descriptor: ENOENT
 *    each time. Another links and unlinks the same two names meanwhile.
 * 2. Neither has seen another error, and no name is left.
 */
static int link_until_killed(void)
{
	for (;;) {
		if (link("a", "b") && errno != ENOENT && errno != EEXIST)
			return 1;
		if (unlink("b") && errno != ENOENT)
			return 1;
	}
}

TEST(last_name_is_the_last)
{
	pid_t other = ASSERT_OK(fork());
	int status;

	if (!other)
		_exit(link_until_killed());
	for (int round = 0; round < ROUNDS; round++) {
		cleanup_close int fd = ASSERT_OK(open("a", O_RDWR | O_CREAT | O_EXCL, 0600));

		ASSERT_OK(unlink("a"));
		while (unlink("b") && errno == ENOENT && links_of(_metadata, fd))
			;
		ASSERT_EQ(0, links_of(_metadata, fd));
		ASSERT_ERRNO_EQ(-ENOENT, link_by_descriptor(fd, "c"));
	}
	ASSERT_OK(kill(other, SIGKILL));
	ASSERT_OK(waitpid(other, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status));
	ASSERT_ERRNO_EQ(-ENOENT, access("b", F_OK));
}

/*
 * A file handle leads to a file as long as somebody has it, and to none when it
 * is gone.
 *
 * 1. the handle of a file; unlink, the descriptor is kept: the handle opens it.
 * 2. Close: ESTALE.
 */
static int open_handle(struct __test_metadata *_metadata, struct file_handle *handle)
{
	cleanup_close int root = ASSERT_OK(open(".", O_RDONLY | O_DIRECTORY));

	return open_by_handle_at(root, handle, O_RDWR);
}

TEST(handle_of_an_unlinked_file)
{
	char bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ] __attribute__((aligned(8)));
	struct file_handle *handle = (struct file_handle *)bytes;
	int fd = ASSERT_OK(open("a", O_RDWR | O_CREAT | O_EXCL, 0600));
	int again, mount_id;

	handle->handle_bytes = MAX_HANDLE_SZ;
	ASSERT_OK(name_to_handle_at(AT_FDCWD, "a", handle, &mount_id, 0));
	ASSERT_EQ(4, write(fd, "text", 4));
	ASSERT_OK(unlink("a"));
	again = ASSERT_OK(open_handle(_metadata, handle));
	ASSERT_EQ(0, links_of(_metadata, again));
	ASSERT_OK(close(again));
	ASSERT_OK(close(fd));
	sync();
	ASSERT_ERRNO_EQ(-ESTALE, open_handle(_metadata, handle));
}

/*
 * Unlinked files keep a filesystem from becoming read-only, as they would have
 * to be removed then. When they are closed it can be.
 */
TEST(remount_with_an_unlinked_file)
{
	int fd = ASSERT_OK(open("a", O_RDWR | O_CREAT | O_EXCL, 0600));

	ASSERT_OK(unlink("a"));
	ASSERT_ERRNO_EQ(-EBUSY, mount(NULL, ".", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	ASSERT_OK(close(fd));
	ASSERT_OK(mount(NULL, ".", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	ASSERT_OK(mount(NULL, ".", NULL, MS_REMOUNT, NULL));
}

/*
 * Hundreds of unlinked files are held when the power goes. The next mount frees
 * them all: the checker sees what is left.
 */
TEST(many_are_freed_at_the_next_mount)
{
	char name[16];
	int fd;

	if (phase() == 1) {
		for (int i = 0; i < ORPHANS; i++) {
			snprintf(name, sizeof(name), "%d", i);
			fd = ASSERT_OK(open(name, O_RDWR | O_CREAT | O_EXCL, 0600));
			ASSERT_EQ(4, write(fd, "text", 4));
			ASSERT_OK(unlink(name));
		}
		sync();
		phase_ends("power cut");
	}
	for (int i = 0; i < ORPHANS; i++) {
		snprintf(name, sizeof(name), "%d", i);
		ASSERT_ERRNO_EQ(-ENOENT, access(name, F_OK));
	}
}

/*
 * What O_TMPFILE made, was linked and synced is there after a power cut.
 */
TEST(linked_temporary_file_is_durable)
{
	int fd;

	if (phase() == 1) {
		fd = ASSERT_OK(open(".", O_TMPFILE | O_RDWR, 0600));
		ASSERT_EQ(4, write(fd, "text", 4));
		ASSERT_OK(link_by_descriptor(fd, "a"));
		ASSERT_OK(fsync(fd));
		ASSERT_OK(fsync(ASSERT_OK(open(".", O_RDONLY | O_DIRECTORY))));
		phase_ends("power cut");
	}
	assert_text(_metadata, "a", "text");
}

TEST_HARNESS_MAIN
