// SPDX-License-Identifier: GPL-2.0
/*
 * Phases and cuts of the lab itself. Each test relies on what every journalling
 * filesystem promises, so that a red is the lab's.
 *
 * A test is run once more after its event; which run it is, phase() says. What
 * follows the event in the text never happens after a power cut: the guest is
 * gone.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "harness.h"
#include "phase.h"

#define SPARE_MOUNT "/tmp/spare"

static void put(struct __test_metadata *_metadata, const char *path, const char *text)
{
	int fd = ASSERT_OK(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600));

	ASSERT_EQ((ssize_t)strlen(text), write(fd, text, strlen(text)));
	ASSERT_OK(close(fd));
}

static void assert_holds(struct __test_metadata *_metadata, const char *path, const char *wanted)
{
	char seen[64] = "";
	int fd = ASSERT_OK(open(path, O_RDONLY));

	ASSERT_OK(read(fd, seen, sizeof(seen) - 1));
	ASSERT_STREQ(wanted, seen);
	ASSERT_OK(close(fd));
}

static void sync_path(struct __test_metadata *_metadata, const char *path)
{
	int fd = ASSERT_OK(open(path, O_RDONLY));

	ASSERT_OK(fsync(fd));
	ASSERT_OK(close(fd));
}

TEST(synced_file_survives_a_power_cut)
{
	if (phase() == 1) {
		put(_metadata, "kept", "text");
		sync_path(_metadata, "kept");
		sync_path(_metadata, ".");
		phase_ends("power cut");
	}
	ASSERT_EQ(2, phase_number());
	assert_holds(_metadata, "kept", "text");
}

TEST(unsynced_file_does_not_survive)
{
	if (phase() == 1) {
		sync();
		put(_metadata, "lost", "text");
		phase_ends("power cut");
	}
	ASSERT_ERRNO_EQ(-ENOENT, access("lost", F_OK));
}

/* Whether the inode is free again, the number of free ones says: the disk remembers what it was. */
TEST(unlinked_file_is_freed_after_a_power_cut)
{
	struct statvfs now;
	char text[32];
	int fd;

	if (phase() == 1)
		put(_metadata, "free", "");
	ASSERT_OK(statvfs(".", &now));
	snprintf(text, sizeof(text), "%llu", (unsigned long long)now.f_ffree);
	if (phase() == 1) {
		put(_metadata, "free", text);
		fd = ASSERT_OK(open("held", O_RDWR | O_CREAT, 0600));
		ASSERT_OK(unlink("held"));
		ASSERT_OK(fsync(fd));
		sync();
		phase_ends("power cut");
	}
	assert_holds(_metadata, "free", text);
}

TEST(reboot)
{
	if (phase() == 1) {
		put(_metadata, "kept", "text");
		put(_metadata, "/tmp/lost", "text");
		phase_ends("reboot");
	}
	assert_holds(_metadata, "kept", "text");
	ASSERT_ERRNO_EQ(-ENOENT, access("/tmp/lost", F_OK));
}

TEST(remount)
{
	if (phase() == 1) {
		put(_metadata, "kept", "text");
		put(_metadata, "/tmp/kept", "text");
		phase_ends("remount");
	}
	assert_holds(_metadata, "kept", "text");
	assert_holds(_metadata, "/tmp/kept", "text");
}

TEST(panic)
{
	if (phase() == 1) {
		put(_metadata, "kept", "text");
		sync();
		phase_ends("panic");
		put(_metadata, "/proc/sysrq-trigger", "c");
	}
	assert_holds(_metadata, "kept", "text");
}

TEST(two_power_cuts)
{
	if (phase() < 3) {
		put(_metadata, "kept", phase_number() == 1 ? "one" : "two");
		sync();
		phase_ends("power cut");
	}
	assert_holds(_metadata, "kept", "two");
}

TEST(copy)
{
	if (phase() == 1) {
		put(_metadata, "original", "text");
		ASSERT_OK(mkdir(SPARE_MOUNT, 0700));
		ASSERT_OK(mount(phase_spare(), SPARE_MOUNT, getenv("LAB_FS"), 0, NULL));
		put(_metadata, SPARE_MOUNT "/copy", "text");
		ASSERT_OK(umount(SPARE_MOUNT));
		phase_ends("copy");
	}
	assert_holds(_metadata, "copy", "text");
	ASSERT_ERRNO_EQ(-ENOENT, access("original", F_OK));
}

TEST(snapshot)
{
	if (phase() == 1) {
		put(_metadata, "file", "before");
		sync();
		phase_ends("snapshot");
		put(_metadata, "file", "after");
		sync();
		return;
	}
	assert_holds(_metadata, "file", "before");
}

TEST(fails_in_its_second_phase)
{
	if (phase() == 1)
		phase_ends("power cut");
	ASSERT_OK(access("never was", F_OK));
}

TEST(never_comes_to_its_event)
{
	ASSERT_EQ(1, phase());
}

TEST(asks_for_another_event)
{
	ASSERT_EQ(1, phase());
	phase_ends("reboot");
}

TEST(does_not_mount_again)
{
	static const char zeros[65536];
	int fd;

	if (phase() == 1) {
		fd = ASSERT_OK(open(getenv("LAB_DEVICE"), O_WRONLY));
		ASSERT_EQ((ssize_t)sizeof(zeros), write(fd, zeros, sizeof(zeros)));
		ASSERT_OK(fsync(fd));
		phase_ends("power cut");
	}
}

/*
 * 1. A file "old", on disk. Mark.
 * 2. Write "new" to another file, fsync, rename it over the first, fsync the
 *    directory. Mark: now it must be the new one.
 * 3. At each cut before that it is the old or the new one, whole.
 */
TEST(rename_after_fsync_is_atomic)
{
	char seen[16] = "";
	int fd;

	if (phase() == 1) {
		put(_metadata, "file", "old");
		sync();
		mark("begin");
		put(_metadata, "file.new", "new");
		sync_path(_metadata, "file.new");
		ASSERT_OK(rename("file.new", "file"));
		sync_path(_metadata, ".");
		mark("replaced");
		return;
	}
	fd = ASSERT_OK(open("file", O_RDONLY));
	ASSERT_EQ(3, read(fd, seen, sizeof(seen)));
	if (phase_passed("replaced"))
		ASSERT_STREQ("new", seen);
	if (strcmp(seen, "new"))
		ASSERT_STREQ("old", seen);
}

/* Two blocks that belong together, written in place: some cut has one of each. */
TEST(write_in_place_is_not_atomic)
{
	static char text[2][4096];
	int fd = ASSERT_OK(open("file", O_RDWR | O_CREAT, 0600));

	if (phase() == 1) {
		memset(text, 'o', sizeof(text));
		ASSERT_EQ((ssize_t)sizeof(text), pwrite(fd, text, sizeof(text), 0));
		sync();
		mark("begin");
		memset(text, 'n', sizeof(text));
		for (int i = 0; i < 2; i++) {
			ASSERT_EQ((ssize_t)sizeof(text[i]), pwrite(fd, text[i], sizeof(text[i]), i * sizeof(text[i])));
			ASSERT_OK(fdatasync(fd));
		}
		mark("written");
		return;
	}
	ASSERT_EQ((ssize_t)sizeof(text), pread(fd, text, sizeof(text), 0));
	ASSERT_EQ(text[0][0], text[1][0]);
}

TEST(no_window)
{
	ASSERT_EQ(1, phase());
}

TEST_HARNESS_MAIN
