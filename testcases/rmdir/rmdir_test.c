// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint and restart of directories that are open, or somebody's current
 * directory, and have been removed.
 *
 * A directory cannot be linked. A removed one is empty and stays so, hence
 * another empty directory of the same mode and owner can stand in for it:
 *
 *	checkpoint	makes <mount>/lost+found/checkpoint/unlink-at-restart-...,
 *			one for each removed directory, however many hold it;
 *	restart		opens it and removes it again.
 *
 * The inode's number changes, nothing else does. Without relinking every
 * checkpoint here is refused with EBADF.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "relink.h"

FIXTURE(rmdir)
{
	struct stage stage;
};

FIXTURE_SETUP(rmdir)
{
	stage_set_up(_metadata, &self->stage);
}

FIXTURE_TEARDOWN(rmdir)
{
	stage_tear_down(_metadata, &self->stage);
}

static int open_directory(const char *path)
{
	return MUST(open(path, O_RDONLY | O_DIRECTORY));
}

/* What every removed directory is to those who hold it; links is what this filesystem counted before. */
static void must_be_removed(int fd, const struct stat *before)
{
	char entries[256];

	MUST_EQ(before->st_mode, subject_stat(fd).st_mode);
	MUST_EQ(before->st_uid, subject_stat(fd).st_uid);
	MUST_EQ(before->st_gid, subject_stat(fd).st_gid);
	MUST_EQ(before->st_dev, subject_stat(fd).st_dev);
	MUST_EQ(before->st_nlink, subject_stat(fd).st_nlink);
	MUST_FAIL(-ENOENT, openat(fd, "new", O_WRONLY | O_CREAT, 0600));
	MUST_FAIL(-ENOENT, mkdirat(fd, "new", 0700));
	MUST_FAIL(-ENOENT, syscall(SYS_getdents64, fd, entries, sizeof(entries)));
}

/* An empty directory of its own, with this mode. */
static void assert_stand_in(struct __test_metadata *_metadata, const char *path, mode_t mode)
{
	struct stat found = stat_of(_metadata, path);

	ASSERT_TRUE(S_ISDIR(found.st_mode));
	ASSERT_EQ(mode, found.st_mode & 07777);
	ASSERT_NAMES(path, "");
}

/*
 * 1. mkdir d with an uncommon mode, open it, rmdir d.
 * 2. Checkpoint. One name: an empty directory with that mode.
 * 3. Restart. The descriptor is a removed directory again: link count as
 *    before, nothing can be made in it or read from it. The name is gone.
 */
SUBJECT(open_directory)
{
	struct stat before;
	int fd;

	MUST(mkdir("d", 0700));
	MUST(chmod("d", 01751));
	fd = open_directory("d");
	MUST(rmdir("d"));
	before = subject_stat(fd);
	come_back();
	must_be_removed(fd, &before);
	MUST_EQ(O_RDONLY, fcntl(fd, F_GETFL) & O_ACCMODE);
}

TEST_F(rmdir, open_removed_directory)
{
	struct relinked relinked;

	ASSERT_CHECKPOINT(&self->stage, "open_directory");
	relinked = ASSERT_RELINKED(1);
	assert_stand_in(_metadata, relinked.path[0], 01751);

	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/* What a POSIX ACL looks like as an extended attribute: owner, user 1000, group, mask, others. */
static const unsigned char acl_for_user_1000[] = {
	2, 0, 0, 0,
	0x01, 0, 7, 0, 0xff, 0xff, 0xff, 0xff,
	0x02, 0, 5, 0, 0xe8, 0x03, 0, 0,
	0x04, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
	0x10, 0, 5, 0, 0xff, 0xff, 0xff, 0xff,
	0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
};

#define ACCESS_ACL "system.posix_acl_access"
#define DEFAULT_ACL "system.posix_acl_default"

static void assert_xattr(struct __test_metadata *_metadata, const char *path, const char *name, const void *value,
			 ssize_t size)
{
	char found[256];

	ASSERT_EQ(size, lgetxattr(path, name, found, sizeof(found)));
	ASSERT_EQ(0, memcmp(value, found, size));
}

/* All do but tmpfs, before 6.6. */
static bool has_user_xattrs(const char *path)
{
	return lsetxattr(path, "user.tried", "", 0, 0) == 0 || errno != EOPNOTSUPP;
}

/*
 * 1. mkdir d, foreign, with ACL and attributes, and an old time; open it, rmdir d. The
 *    relink directory has a default ACL, which new directories in it inherit.
 * 2. Checkpoint. The stand-in has the owner, ACL, attributes and times of d,
 *    and nothing of the relink directory.
 */
SUBJECT(attributes)
{
	static const struct timespec old[2] = { { .tv_sec = 1000000 }, { .tv_sec = 2000000 } };

	MUST(mkdir("d", 0700));
	MUST(lsetxattr("d", ACCESS_ACL, acl_for_user_1000, sizeof(acl_for_user_1000), 0));
	if (has_user_xattrs("d"))
		MUST(lsetxattr("d", "user.lab", "kept", 4, 0));
	MUST(lsetxattr("d", "trusted.lab", "too", 3, 0));
	MUST(chown("d", 1001, 1002));
	int fd = open_directory("d");

	MUST(rmdir("d"));
	MUST(futimens(fd, old));
	come_back();
	MUST_EQ(1001, subject_stat(fd).st_uid);
	MUST_EQ(2000000, subject_stat(fd).st_mtim.tv_sec);
}

TEST_F(rmdir, stand_in_has_acl_and_attributes)
{
	struct relinked relinked;
	struct stat found;
	char unwanted[256];

	ASSERT_OK(lsetxattr(CHECKPOINT_DIR, DEFAULT_ACL, acl_for_user_1000, sizeof(acl_for_user_1000), 0));
	ASSERT_CHECKPOINT(&self->stage, "attributes");
	relinked = ASSERT_RELINKED(1);
	assert_stand_in(_metadata, relinked.path[0], 0750);
	found = stat_of(_metadata, relinked.path[0]);
	ASSERT_EQ(1001U, found.st_uid);
	ASSERT_EQ(1002U, found.st_gid);
	ASSERT_EQ(2000000, found.st_mtim.tv_sec);
	assert_xattr(_metadata, relinked.path[0], ACCESS_ACL, acl_for_user_1000, sizeof(acl_for_user_1000));
	if (has_user_xattrs(CHECKPOINT_DIR))
		assert_xattr(_metadata, relinked.path[0], "user.lab", "kept", 4);
	assert_xattr(_metadata, relinked.path[0], "trusted.lab", "too", 3);
	ASSERT_ERRNO_EQ(-ENODATA, lgetxattr(relinked.path[0], DEFAULT_ACL, unwanted, sizeof(unwanted)));

	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. mkdir d, chdir d, rmdir d.
 * 2. Checkpoint: one name. Restart.
 * 3. The current directory is a removed directory: it can be looked at, has no
 *    path, and nothing can be made in it. In particular it is not a directory
 *    called "d (deleted)".
 */
SUBJECT(current_directory)
{
	struct stat before;
	char path[256];
	int fd;

	MUST(mkdir("d", 0750));
	MUST(chdir("d"));
	MUST(rmdir("../d"));
	MUST(stat(".", &before));
	come_back();
	MUST_FAIL(-ENOENT, syscall(SYS_getcwd, path, sizeof(path)));
	MUST_FAIL(-ENOENT, open("new", O_WRONLY | O_CREAT, 0600));
	fd = open_directory(".");
	must_be_removed(fd, &before);
}

TEST_F(rmdir, removed_cwd)
{
	struct relinked relinked;

	ASSERT_CHECKPOINT(&self->stage, "current_directory");
	relinked = ASSERT_RELINKED(1);
	assert_stand_in(_metadata, relinked.path[0], 0750);

	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * Two holders of one directory hold one directory again.
 *
 * 1. mkdir d, open it twice, chdir to it, rmdir d.
 * 2. Checkpoint: one name for all three. Restart.
 * 3. One inode.
 */
SUBJECT(three_holders)
{
	int first, second, current;
	struct stat before;

	MUST(mkdir("d", 0700));
	first = open_directory("d");
	second = open_directory("d");
	MUST(chdir("d"));
	MUST(rmdir("../d"));
	before = subject_stat(first);
	come_back();
	current = open_directory(".");
	must_be_removed(current, &before);
	MUST_EQ(subject_stat(current).st_ino, subject_stat(first).st_ino);
	MUST_EQ(subject_stat(current).st_ino, subject_stat(second).st_ino);
}

TEST_F(rmdir, cwd_and_descriptor_are_one_inode)
{
	ASSERT_CHECKPOINT(&self->stage, "three_holders");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. mkdir d, d/e, d/e/f; open all; remove all, the innermost first.
 * 2. Checkpoint: three names side by side. Restart.
 * 3. Three different removed directories.
 */
SUBJECT(nested)
{
	static const char *const paths[] = { "d", "d/e", "d/e/f" };
	struct stat before[3];
	int fd[3];

	for (int i = 0; i < 3; i++) {
		MUST(mkdir(paths[i], 0700));
		fd[i] = open_directory(paths[i]);
	}
	for (int i = 2; i >= 0; i--)
		MUST(rmdir(paths[i]));
	for (int i = 0; i < 3; i++)
		before[i] = subject_stat(fd[i]);
	come_back();
	for (int i = 0; i < 3; i++) {
		must_be_removed(fd[i], &before[i]);
		MUST_NE(subject_stat(fd[i]).st_ino, subject_stat(fd[(i + 1) % 3]).st_ino);
	}
}

TEST_F(rmdir, nested_removed_directories)
{
	ASSERT_CHECKPOINT(&self->stage, "nested");
	ASSERT_RELINKED(3);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A new directory where the removed one was. A restart that went by the old
 * name would hold, and remove, the new one.
 *
 * 1. mkdir d, open it, rmdir d; mkdir d again with a file in it.
 * 2. Checkpoint: one name. Restart.
 * 3. The descriptor is removed, the new d and its file are untouched.
 */
SUBJECT(reused)
{
	struct stat before, other;
	int fd;

	MUST(mkdir("d", 0700));
	fd = open_directory("d");
	MUST(rmdir("d"));
	MUST(mkdir("d", 0700));
	close(MUST(open("d/file", O_WRONLY | O_CREAT | O_EXCL, 0600)));
	before = subject_stat(fd);
	come_back();
	must_be_removed(fd, &before);
	MUST(stat("d", &other));
	MUST_NE(other.st_ino, subject_stat(fd).st_ino);
}

TEST_F(rmdir, name_reused_by_another_directory)
{
	self->stage.remains = "d lost+found";
	ASSERT_CHECKPOINT(&self->stage, "reused");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_NAMES("d", "file");
	ASSERT_OK(unlink("d/file"));
}

/*
 * A file whose directory is gone too: its old path cannot even be looked up.
 *
 * 1. mkdir d, open d/a, link it to b, unlink d/a, rmdir d.
 * 2. Checkpoint: one name, of b's inode. Restart.
 * 3. What is written through the descriptor is read from b.
 */
SUBJECT(file_within)
{
	int fd;

	MUST(mkdir("d", 0700));
	fd = MUST(open("d/a", O_RDWR | O_CREAT | O_EXCL, 0600));
	MUST(link("d/a", "b"));
	MUST(unlink("d/a"));
	MUST(rmdir("d"));
	come_back();
	MUST_WRITE(fd, "written");
	MUST_EQ(1, subject_stat(fd).st_nlink);
}

TEST_F(rmdir, file_in_removed_directory)
{
	struct relinked relinked;
	ino_t b;

	self->stage.remains = "b lost+found";
	ASSERT_CHECKPOINT(&self->stage, "file_within");
	relinked = ASSERT_RELINKED(1);
	b = stat_of(_metadata, "b").st_ino;
	ASSERT_INODE(b, 2, relinked.path[0]);

	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_INODE(b, 1, "b");
	ASSERT_HOLDS("b", "written");
}

SUBJECT_HARNESS_MAIN
