// SPDX-License-Identifier: GPL-2.0
/*
 * What is in an unlinked file, and what is known of it, over a checkpoint and a
 * restart.
 *
 * Nothing is copied: the inode gets a name and loses it again, and with it come
 * size, holes, blocks beyond the end, attributes and owner. So each case
 * compares the inode with itself, and a restart that made a new file, by
 * whatever means, shows.
 *
 * Without relinking every checkpoint here is refused with EBADF.
 */
#define _GNU_SOURCE
#include <sys/xattr.h>

#include "orphan.h"
#include "privileges.h"
#include "relink.h"

FIXTURE(contents)
{
	struct stage stage;
};

FIXTURE_SETUP(contents)
{
	stage_set_up(_metadata, &self->stage);
}

FIXTURE_TEARDOWN(contents)
{
	stage_tear_down(_metadata, &self->stage);
}

/* The very same inode, but for the times that linking and unlinking change. */
static void must_be_same(int fd, const struct stat *before)
{
	struct stat now = subject_stat(fd);

	MUST_EQ(before->st_ino, now.st_ino);
	MUST_EQ(before->st_dev, now.st_dev);
	MUST_EQ(before->st_mode, now.st_mode);
	MUST_EQ(before->st_uid, now.st_uid);
	MUST_EQ(before->st_gid, now.st_gid);
	MUST_EQ(before->st_size, now.st_size);
	MUST_EQ(before->st_nlink, now.st_nlink);
	MUST_EQ(before->st_mtim.tv_sec, now.st_mtim.tv_sec);
	MUST_EQ(before->st_mtim.tv_nsec, now.st_mtim.tv_nsec);
}

/*
 * 1. open a file that is empty, unlink it.
 * 2. Checkpoint: one name, of a file of no bytes. Restart.
 * 3. Still no bytes; what is written is read.
 */
SUBJECT(nothing)
{
	int fd = new_orphan("a", "");
	struct stat before = subject_stat(fd);

	come_back();
	must_be_same(fd, &before);
	MUST_WRITE(fd, "something");
	must_be_orphan(fd, "something");
}

TEST_F(contents, empty_file)
{
	struct relinked relinked;

	ASSERT_CHECKPOINT(&self->stage, "nothing");
	relinked = ASSERT_RELINKED(1);
	ASSERT_EQ(0, (int)stat_of(_metadata, relinked.path[0]).st_size);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. open a file, write at its beginning and at 1 MiB, leave a hole between.
 *    Sync, so that blocks are counted as they will stay; unlink.
 * 2. Checkpoint: the name has as many blocks. Restart.
 * 3. As many blocks, and the hole is where it was.
 */
enum { FAR = 1 << 20 };

SUBJECT(holes)
{
	int fd = new_file("a", "begin");
	struct stat before;
	off_t hole;

	MUST_EQ(3, pwrite(fd, "end", 3, FAR));
	MUST(fsync(fd));
	MUST(unlink("a"));
	before = subject_stat(fd);
	hole = MUST(lseek(fd, 0, SEEK_HOLE));
	MUST_EQ(5, lseek(fd, 5, SEEK_SET));
	tell("blocks", before.st_blocks);
	come_back();
	must_be_same(fd, &before);
	MUST_EQ(before.st_blocks, subject_stat(fd).st_blocks);
	MUST_EQ(5, lseek(fd, 0, SEEK_CUR));
	MUST_EQ(hole, lseek(fd, 0, SEEK_HOLE));
	MUST_HOLD("begin", fd);
}

TEST_F(contents, holes_are_kept)
{
	struct relinked relinked;

	ASSERT_CHECKPOINT(&self->stage, "holes");
	relinked = ASSERT_RELINKED(1);
	ASSERT_EQ(SUBJECT_TOLD(&self->stage, "blocks"), (long long)stat_of(_metadata, relinked.path[0]).st_blocks);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * Offsets and sizes of more than 32 bits, of a file that is one hole.
 *
 * 1. open a file, write one word behind 5 GiB, unlink.
 * 2. Checkpoint, restart.
 * 3. Size and offset are those; the word is read.
 */
#define BEHIND (5LL << 30)

SUBJECT(large)
{
	int fd = new_file("a", "");
	char word[5] = "";
	struct stat before;

	MUST_EQ(4, pwrite(fd, "word", 4, BEHIND));
	MUST(unlink("a"));
	MUST_EQ(BEHIND, lseek(fd, BEHIND, SEEK_SET));
	before = subject_stat(fd);
	come_back();
	must_be_same(fd, &before);
	MUST_EQ(BEHIND, lseek(fd, 0, SEEK_CUR));
	MUST_EQ(4, read(fd, word, 4));
	MUST_EQ(0, strcmp("word", word));
}

TEST_F(contents, beyond_two_gibibytes)
{
	ASSERT_CHECKPOINT(&self->stage, "large");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A file that is cut after its last name went is on the filesystem's list of
 * orphans for two reasons at once. Linking takes it off; a crash before the
 * cut is done must find it all the same, and a restart must put it back.
 *
 * 1. open a file of 64 KiB, unlink it, cut it to 3 bytes.
 * 2. Checkpoint: the name has 3 bytes. Restart: 3 bytes; cut to none.
 */
enum { LONG = 64 * 1024 };

static void write_long(int fd)
{
	static char bytes[LONG];

	memset(bytes, 'x', sizeof(bytes));
	MUST_EQ(LONG, pwrite(fd, bytes, sizeof(bytes), 0));
}

SUBJECT(shrunk)
{
	int fd = new_file("a", "");
	struct stat before;

	write_long(fd);
	MUST(fsync(fd));
	MUST(unlink("a"));
	MUST(ftruncate(fd, 3));
	before = subject_stat(fd);
	MUST_EQ(3, before.st_size);
	come_back();
	must_be_same(fd, &before);
	must_be_orphan(fd, "xxx");
	MUST(ftruncate(fd, 0));
	MUST_EQ(0, subject_stat(fd).st_size);
}

TEST_F(contents, shrunk_after_unlink)
{
	struct relinked relinked;

	ASSERT_CHECKPOINT(&self->stage, "shrunk");
	relinked = ASSERT_RELINKED(1);
	ASSERT_HOLDS(relinked.path[0], "xxx");
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. open a file, unlink it, write 64 KiB and lengthen it by a hole.
 * 2. Checkpoint, restart.
 * 3. The size is that, and the file can be lengthened still.
 */
SUBJECT(grown)
{
	int fd = new_orphan("a", "seed");
	struct stat before;

	write_long(fd);
	MUST(ftruncate(fd, 2 * LONG));
	before = subject_stat(fd);
	come_back();
	must_be_same(fd, &before);
	MUST_EQ(4, pwrite(fd, "more", 4, 2 * LONG));
	MUST_EQ(2 * LONG + 4, subject_stat(fd).st_size);
}

TEST_F(contents, grown_after_unlink)
{
	ASSERT_CHECKPOINT(&self->stage, "grown");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * Blocks that belong to a file but not to its size.
 *
 * 1. open a file, unlink it, reserve 64 KiB behind its end.
 * 2. Checkpoint, restart.
 * 3. The size is what it was; nothing but the text can be read.
 */
SUBJECT(reserved)
{
	int fd = new_orphan("a", "short");
	struct stat before;

	MUST(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, LONG));
	MUST(fsync(fd));
	before = subject_stat(fd);
	come_back();
	must_be_same(fd, &before);
	must_be_orphan(fd, "short");
}

TEST_F(contents, blocks_behind_the_end)
{
	ASSERT_CHECKPOINT(&self->stage, "reserved");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. open a file by O_DIRECT, write a block past the page cache, unlink.
 * 2. Checkpoint, restart.
 * 3. The flag is there, and the block is read past the cache again.
 */
enum { BLOCK = 4096 };

SUBJECT(direct)
{
	static char block[BLOCK] __attribute__((aligned(BLOCK)));
	int fd = MUST(open("a", O_RDWR | O_CREAT | O_EXCL | O_DIRECT, 0600));
	int flags = MUST(fcntl(fd, F_GETFL));

	memset(block, 'd', sizeof(block));
	MUST_EQ(BLOCK, pwrite(fd, block, BLOCK, 0));
	MUST(unlink("a"));
	come_back();
	MUST_EQ(flags, fcntl(fd, F_GETFL));
	memset(block, 0, sizeof(block));
	MUST_EQ(BLOCK, pread(fd, block, BLOCK, 0));
	MUST_EQ('d', block[BLOCK - 1]);
	MUST_EQ(0, subject_stat(fd).st_nlink);
}

TEST_F(contents, opened_for_direct_io)
{
	ASSERT_CHECKPOINT(&self->stage, "direct");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. open a file, give it an extended attribute and an access list, unlink it.
 * 2. Checkpoint: they are seen by the name. Restart: and by the descriptor.
 */
static const struct {
	uint32_t version;
	struct {
		uint16_t tag, permissions;
		uint32_t id;
	} entries[5];
} ACCESS_LIST = {
	2,
	{
		{ 0x01, 6, -1 },	/* owner */
		{ 0x02, 4, 1000 },	/* a user */
		{ 0x04, 0, -1 },	/* group */
		{ 0x10, 4, -1 },	/* mask */
		{ 0x20, 0, -1 },	/* others */
	},
};

#define ACL_NAME "system.posix_acl_access"

SUBJECT(attributes)
{
	char value[sizeof(ACCESS_LIST)] = "";
	int fd = new_file("a", "text");
	struct stat before;

	MUST(fsetxattr(fd, "user.lab", "value", 5, 0));
	MUST(fsetxattr(fd, ACL_NAME, &ACCESS_LIST, sizeof(ACCESS_LIST), 0));
	MUST(unlink("a"));
	before = subject_stat(fd);
	come_back();
	must_be_same(fd, &before);
	MUST_EQ(5, fgetxattr(fd, "user.lab", value, sizeof(value)));
	MUST_EQ(0, memcmp("value", value, 5));
	MUST_EQ((long long)sizeof(ACCESS_LIST), fgetxattr(fd, ACL_NAME, value, sizeof(value)));
	MUST_EQ(0, memcmp(&ACCESS_LIST, value, sizeof(value)));
}

TEST_F(contents, attributes_and_access_lists)
{
	struct relinked relinked;
	char value[8];

	ASSERT_CHECKPOINT(&self->stage, "attributes");
	relinked = ASSERT_RELINKED(1);
	ASSERT_EQ(5, ASSERT_OK(getxattr(relinked.path[0], "user.lab", value, sizeof(value))));
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A file that nobody could open any more, held by who opened it in time. Root
 * restarts, and may.
 *
 * 1. open a file, write, take all permission from it, give it to another user,
 *    unlink it.
 * 2. Checkpoint, restart: mode and owner as before; what is written is read.
 */
SUBJECT(closed_to_all)
{
	int fd = new_file("a", "mine");
	struct stat before;

	MUST(fchown(fd, 1234, 1235));
	MUST(fchmod(fd, 0));
	MUST(unlink("a"));
	before = subject_stat(fd);
	come_back();
	must_be_same(fd, &before);
	MUST_EQ(1234, subject_stat(fd).st_uid);
	MUST_WRITE(fd, "too");
	must_be_orphan(fd, "minetoo");
}

TEST_F(contents, mode_0_of_another_owner)
{
	struct relinked relinked;

	ASSERT_CHECKPOINT(&self->stage, "closed_to_all");
	relinked = ASSERT_RELINKED(1);
	ASSERT_EQ(1234, (int)stat_of(_metadata, relinked.path[0]).st_uid);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * The same, restarted by somebody who may restart, and read everywhere, but not
 * write: he could not have opened the file for writing, and does not get it so.
 * The name is kept for who can.
 *
 * 1. open a file of mode 0 for writing, unlink it. Checkpoint.
 * 2. User 1000 with CAP_CHECKPOINT_RESTORE and CAP_DAC_READ_SEARCH: EACCES.
 * 3. Root restarts.
 */
static int as_reader(void)
{
	return become(1000, CAPABILITY(CAP_CHECKPOINT_RESTORE) | CAPABILITY(CAP_DAC_READ_SEARCH));
}

TEST_F(contents, mode_0_is_not_opened_for_others)
{
	ASSERT_OK(chmod("lost+found", 0755));
	ASSERT_OK(chmod(CHECKPOINT_DIR, 0777));
	ASSERT_CHECKPOINT(&self->stage, "closed_to_all");
	ASSERT_RELINKED(1);
	stage_open_folder(_metadata, &self->stage);
	self->stage.before_restart = as_reader;
	ASSERT_RESTART_ERRNO(-EACCES, &self->stage);
	ASSERT_RELINKED(1);
	self->stage.before_restart = NULL;
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

SUBJECT_HARNESS_MAIN
