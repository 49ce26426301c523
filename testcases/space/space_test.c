// SPDX-License-Identifier: GPL-2.0
/*
 * Names when there is no room for them.
 *
 * A link needs an entry in the directory, and that a block of the directory's,
 * which may have to be a new one; a stand-in for a directory needs an inode. If
 * there is none the checkpoint fails with ENOSPC, and the inode must be what it
 * was: without links, on the list of orphans, freed when it is closed. (To have
 * taken it off the list before the entry was there is the mistake that the
 * first version of the patches made.)
 *
 * Without relinking every checkpoint here is refused with EBADF.
 */
#define _GNU_SOURCE
#include <sys/statvfs.h>

#include "orphan.h"
#include "relink.h"

FIXTURE(space)
{
	struct stage stage;
};

FIXTURE_SETUP(space)
{
	stage_set_up(_metadata, &self->stage);
}

FIXTURE_TEARDOWN(space)
{
	stage_tear_down(_metadata, &self->stage);
}

/* A file that takes all there is, in smaller and smaller bites: by allocation where the filesystem can. */
static void fill(struct __test_metadata *_metadata, const char *path)
{
	static char bytes[1 << 20];
	cleanup_close int fd = ASSERT_OK(open(path, O_WRONLY | O_CREAT | O_EXCL, 0600));

	memset(bytes, 'f', sizeof(bytes));
	for (off_t bite = 1 << 26; bite >= 1 << 16; bite /= 2)
		while (!fallocate(fd, 0, lseek(fd, 0, SEEK_END), bite))
			;
	ASSERT_OK(lseek(fd, 0, SEEK_END));
	for (size_t bite = sizeof(bytes); bite >= 512;) {
		if (write(fd, bytes, bite) > 0)
			continue;
		if (errno != ENOSPC)
			FAIL("filling %s: %s", path, errno_text(-errno).text);
		bite /= 2;
	}
	fsync(fd);
}

/*
 * No block is free, but the directory has room in the one it has.
 *
 * 1. fill the filesystem; the subject holds a file that it unlinked before.
 * 2. Checkpoint: one name. Restart.
 */
SUBJECT(found)
{
	int fd = MUST(open("a", O_RDWR));

	MUST(unlink("a"));
	come_back();
	must_be_orphan(fd, "orphan");
}

TEST_F(space, full_with_room_in_the_directory)
{
	make_file(_metadata, "a", "orphan");
	self->stage.remains = "fill lost+found";
	fill(_metadata, "fill");
	ASSERT_CHECKPOINT(&self->stage, "found");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * No block is free, and the directory's are full: nothing as long as the name
 * fits between the entries.
 *
 * 1. find out how many links of a short name a directory takes before it grows;
 *    give the directory for names so many. Fill the filesystem.
 * 2. open a, unlink a; checkpoint: ENOSPC. No further name; the inode has no
 *    link and is freed when the task ends, which the checker sees.
 * 3. Make room. Checkpoint and restart another task.
 */
static void name_entry(char *path, size_t size, const char *folder, int number)
{
	snprintf(path, size, "%s/%04d", folder, number);
}

/* How many names fit before the directory grows. */
static int capacity(struct __test_metadata *_metadata)
{
	off_t before;
	char path[256];
	int count = 0;

	ASSERT_OK(mkdir("trial", 0700));
	before = stat_of(_metadata, "trial").st_size;
	while (stat_of(_metadata, "trial").st_size == before) {
		name_entry(path, sizeof(path), "trial", count++);
		ASSERT_OK(link("seed", path));
		ASSERT_GT(1000, count);
	}
	remove_tree(_metadata, "trial");
	return count - 1;
}

static void fill_directory(struct __test_metadata *_metadata, int count)
{
	char path[256];

	for (int i = 0; i < count; i++) {
		name_entry(path, sizeof(path), CHECKPOINT_DIR, i);
		ASSERT_OK(link("seed", path));
	}
}

SUBJECT(no_room)
{
	int fd = MUST(open("a", O_RDWR));

	MUST(unlink("a"));
	if (event() != REFUSED)
		return;
	must_be_orphan(fd, "orphan");
}

TEST_F(space, no_room_for_the_entry)
{
	char path[256];
	int count;

	make_file(_metadata, "a", "orphan");
	make_file(_metadata, "seed", "seed");
	count = capacity(_metadata);
	fill_directory(_metadata, count);
	fill(_metadata, "fill");
	ASSERT_CHECKPOINT_ERRNO(-ENOSPC, &self->stage, "no_room");
	for (int i = 0; i < count; i++) {
		name_entry(path, sizeof(path), CHECKPOINT_DIR, i);
		ASSERT_OK(unlink(path));
	}
	ASSERT_NAMES(CHECKPOINT_DIR, "");

	ASSERT_OK(unlink("fill"));
	make_file(_metadata, "a", "orphan");
	self->stage.remains = "lost+found seed";
	stage_renew(_metadata, &self->stage);
	ASSERT_CHECKPOINT(&self->stage, "found");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * No inode is free: a file needs none, what stands in for a directory does.
 *
 * 1. make a file, a directory, and files until there are no more inodes. The
 *    subject holds the first two, and removes their names.
 * 2. Checkpoint: ENOSPC for the directory's stand-in, and the file's name is
 *    taken back.
 * 3. When the task has ended two inodes are free: take them by a file to hold
 *    and another. Checkpoint of the file alone: one name. Restart.
 */
static int take_inodes(struct __test_metadata *_metadata)
{
	char path[64];
	int count, fd;

	ASSERT_OK(mkdir("many", 0700));
	for (count = 0;; count++) {
		snprintf(path, sizeof(path), "many/%d", count);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
		if (fd < 0)
			break;
		close(fd);
	}
	if (errno != ENOSPC)
		FAIL("file %d: %s", count, errno_text(-errno).text);
	return count;
}

SUBJECT(with_directory)
{
	int fd = MUST(open("a", O_RDWR));
	int directory = MUST(open("d", O_RDONLY | O_DIRECTORY));
	struct stat found;

	MUST(unlink("a"));
	MUST(rmdir("d"));
	if (event() != REFUSED)
		return;
	must_be_orphan(fd, "orphan");
	MUST(fstat(directory, &found));
}

TEST_F(space, no_free_inode)
{
	make_file(_metadata, "a", "orphan");
	ASSERT_OK(mkdir("d", 0700));
	take_inodes(_metadata);
	self->stage.remains = "lost+found";
	ASSERT_CHECKPOINT_ERRNO(-ENOSPC, &self->stage, "with_directory");
	ASSERT_NAMES(CHECKPOINT_DIR, "");

	/* Two inodes are free now that the task has ended. */
	make_file(_metadata, "a", "orphan");
	make_file(_metadata, "last", "");
	ASSERT_ERRNO_EQ(-ENOSPC, mkdir("d", 0700));
	stage_renew(_metadata, &self->stage);
	ASSERT_CHECKPOINT(&self->stage, "found");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_OK(unlink("last"));
	remove_tree(_metadata, "many");
}

/*
 * A file has as many links as it can, and the one that the task opened it by is
 * not among them.
 *
 * 1. open a, link it to b; link b until there is no more; unlink a, link once
 *    more.
 * 2. Checkpoint: EMLINK. No name.
 * 3. One link less: checkpoint, restart.
 */
static int link_to_the_limit(const char *file)
{
	char path[64];
	int count;

	/* In many directories: without an index the time to add one name grows with their number. */
	for (count = 0;; count++) {
		snprintf(path, sizeof(path), "links/%d", count / 200);
		if (count % 200 == 0 && mkdir(path, 0700))
			return 0;
		snprintf(path, sizeof(path), "links/%d/%d", count / 200, count % 200);
		if (link(file, path))
			return count;
	}
}

SUBJECT(most_links)
{
	int fd = new_file("a", "linked");
	enum role role;

	MUST(link("a", "b"));
	MUST(mkdir("links", 0700));
	MUST_NE(0, link_to_the_limit("b"));
	MUST_EQ(EMLINK, errno);
	MUST(unlink("a"));
	MUST(link("b", "links/last"));
	role = event();
	if (role == REFUSED) {
		MUST(unlink("links/last"));
		come_back();
		MUST_HOLD("linked", fd);
	}
}

TEST_F_TIMEOUT(space, file_has_all_the_links_it_can_have, 200)
{
	ASSERT_CHECKPOINT(&self->stage, "most_links");
	ASSERT_EQ(2, self->stage.checkpoints);
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	remove_tree(_metadata, "links");
	self->stage.remains = "b lost+found";
}

SUBJECT_HARNESS_MAIN
