// SPDX-License-Identifier: GPL-2.0
/*
 * Who pays for a name.
 *
 * A file that is unlinked and open is charged to its owner as before. A name
 * must not change that: neither is the owner charged twice, nor may a limit
 * that the owner has reached keep a checkpoint from being made. But the file is
 * charged for as long as the name stays, which is why the directory is not for
 * everybody to make names in.
 *
 * The filesystem counts by user, or by project: then what belongs to the user
 * here belongs to a project of that number too.
 *
 * Without relinking every checkpoint here is refused with EBADF.
 */
#define _GNU_SOURCE
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/quota.h>
#include <sys/statvfs.h>

#include "orphan.h"
#include "privileges.h"
#include "relink.h"
#include "room.h"

enum { USER = 1000, SIZE = 256 * 1024 };

#ifndef PRJQUOTA
#define PRJQUOTA 2
#endif

FIXTURE(charged)
{
	struct stage stage;
};

/* What the filesystem counts by. */
static int kind(void)
{
	struct dqinfo info;

	return quotactl(QCMD(Q_GETINFO, PRJQUOTA), getenv("LAB_DEVICE"), 0, (char *)&info) ? USRQUOTA : PRJQUOTA;
}

/* Puts a file into the user's project, or a directory with all that is made in it; 0 or -1 and errno. */
static int join_project(const char *path, unsigned int flags)
{
	cleanup_close int fd = open(path, O_RDONLY);
	struct fsxattr attributes;

	if (fd < 0 || ioctl(fd, FS_IOC_FSGETXATTR, &attributes))
		return -1;
	attributes.fsx_projid = USER;
	attributes.fsx_xflags |= flags;
	return ioctl(fd, FS_IOC_FSSETXATTR, &attributes);
}

FIXTURE_SETUP(charged)
{
	stage_set_up(_metadata, &self->stage);
	ASSERT_OK(chmod(".", 0777));
	ASSERT_OK(chmod("lost+found", 0755));
	ASSERT_OK(chmod(CHECKPOINT_DIR, 0777));
}

FIXTURE_TEARDOWN(charged)
{
	stage_tear_down(_metadata, &self->stage);
}

static struct dqblk usage(struct __test_metadata *_metadata)
{
	struct dqblk found = { 0 };

	/* XFS makes no record for who was never charged. */
	if (quotactl(QCMD(Q_GETQUOTA, kind()), getenv("LAB_DEVICE"), USER, (char *)&found) && errno != ENOENT)
		FAIL("Q_GETQUOTA: %s", errno_text(-errno).text);
	return found;
}

/* XFS frees an inode a little after its last close, unless somebody asks how much is free. */
static void wait_until_nothing_is_charged(struct __test_metadata *_metadata)
{
	struct statvfs asked;

	for (int tries = 0; tries < 200 && usage(_metadata).dqb_curinodes; tries++) {
		ASSERT_OK(statvfs(".", &asked));
		usleep(20000);
	}
	ASSERT_EQ(0, (int)usage(_metadata).dqb_curinodes);
	ASSERT_EQ(0, (long long)usage(_metadata).dqb_curspace);
}

static void limit(struct __test_metadata *_metadata, struct dqblk limits)
{
	limits.dqb_valid = QIF_LIMITS;
	ASSERT_OK(quotactl(QCMD(Q_SETQUOTA, kind()), getenv("LAB_DEVICE"), USER, (char *)&limits));
}

/* The user's file, open and unlinked; the user goes on, with what a checkpoint takes. */
static int hold_as_user(void)
{
	static char bytes[SIZE];
	int fd = MUST(open("a", O_RDWR));

	memset(bytes, 'q', sizeof(bytes));
	MUST_EQ(SIZE, pwrite(fd, bytes, sizeof(bytes), 0));
	MUST(fsync(fd));
	MUST(unlink("a"));
	subject_become(USER, CAPABILITY(CAP_DAC_READ_SEARCH));
	return fd;
}

static void make_users_file(struct __test_metadata *_metadata)
{
	make_file(_metadata, "a", "");
	ASSERT_OK(chown("a", USER, USER));
	if (kind() == PRJQUOTA)
		ASSERT_OK(join_project("a", 0));
}

/*
 * 1. a user's file of 256 KiB, open and unlinked: the user has one inode and
 *    256 KiB or a little more.
 * 2. Checkpoint, the task ends: the same is charged still, as the name keeps it.
 * 3. Restart, the task ends: nothing is charged.
 */
SUBJECT(holds)
{
	int fd = hold_as_user();

	come_back();
	MUST_EQ(SIZE, subject_stat(fd).st_size);
}

TEST_F(charged, name_costs_its_owner_what_the_file_did)
{
	struct dqblk before, named;

	before = usage(_metadata);
	ASSERT_EQ(0, (int)before.dqb_curinodes);
	make_users_file(_metadata);
	ASSERT_CHECKPOINT(&self->stage, "holds");
	ASSERT_RELINKED(1);
	named = usage(_metadata);
	ASSERT_EQ(1, (int)named.dqb_curinodes);
	ASSERT_GE((long long)named.dqb_curspace, SIZE);
	ASSERT_GE(SIZE + 65536, (long long)named.dqb_curspace);
	ASSERT_RESTART(&self->stage);
	wait_until_nothing_is_charged(_metadata);
}

/*
 * 1. the user may have one inode and no more than 320 KiB, and has a file of
 *    256 KiB, open and unlinked.
 * 2. Checkpoint: works, at both limits. Restart.
 */
TEST_F(charged, checkpoint_at_the_limit)
{
	limit(_metadata, (struct dqblk){ .dqb_ihardlimit = 1, .dqb_bhardlimit = 320 });
	make_users_file(_metadata);
	ASSERT_CHECKPOINT(&self->stage, "holds");
	ASSERT_RELINKED(1);
	ASSERT_EQ(1, (int)usage(_metadata).dqb_curinodes);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * The name pins what the user is charged for, until somebody removes it: that
 * is not the user's to do.
 *
 * 1. as above; the task ends and nobody restarts.
 * 2. The user cannot make another file: EDQUOT. Root removes the name: the user
 *    can.
 */
static int try_as_user(const char *path)
{
	int counted_by = kind();
	int fd, error = 0;

	if (become(USER, 0))
		return 1;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || (counted_by == PRJQUOTA && join_project(path, 0)))
		error = errno;
	if (fd >= 0 && error)
		unlink(path);
	return error;
}

/* XFS says of a project at its limit what it would say of a full filesystem. */
static int refusal(void)
{
	return kind() == PRJQUOTA && !strcmp(getenv("LAB_FS"), "xfs") ? ENOSPC : EDQUOT;
}

static int outcome_as_user(struct __test_metadata *_metadata, const char *path)
{
	pid_t child = ASSERT_OK(fork());

	if (!child)
		_exit(try_as_user(path));
	return WEXITSTATUS(stage_wait_for(_metadata, child));
}

TEST_F(charged, name_pins_what_is_charged)
{
	struct relinked relinked;

	limit(_metadata, (struct dqblk){ .dqb_ihardlimit = 1 });
	make_users_file(_metadata);
	ASSERT_CHECKPOINT(&self->stage, "holds");
	relinked = ASSERT_RELINKED(1);
	ASSERT_EQ(refusal(), outcome_as_user(_metadata, "b"));
	ASSERT_OK(unlink(relinked.path[0]));
	wait_until_nothing_is_charged(_metadata);
	ASSERT_EQ(0, outcome_as_user(_metadata, "b"));
	self->stage.remains = "b lost+found";
}

/*
 * A name may make the directory grow, and that is charged to the directory's
 * owner.
 *
 * 1. the directory for names is the user's, and no further name fits into it;
 *    the user may have no more than is charged.
 * 2. Checkpoint by the user, whom limits hold: EDQUOT. No name; the file has no
 *    link.
 */
SUBJECT(is_refused)
{
	int fd = hold_as_user();

	if (event() == REFUSED)
		MUST_EQ(0, subject_stat(fd).st_nlink);
}

static void give_directory_to_user(struct __test_metadata *_metadata)
{
	ASSERT_OK(chown(CHECKPOINT_DIR, USER, USER));
	if (kind() == PRJQUOTA)
		ASSERT_OK(join_project(CHECKPOINT_DIR, 0));
}

TEST_F(charged, directory_of_an_owner_at_the_limit)
{
	struct statvfs disk;

	ASSERT_OK(statvfs(".", &disk));
	make_file(_metadata, "seed", "");
	fill_directory(_metadata, "seed", CHECKPOINT_DIR, disk.f_bsize);
	give_directory_to_user(_metadata);
	make_users_file(_metadata);
	/* The file that it is about to write, and the block that the directory has. */
	limit(_metadata, (struct dqblk){ .dqb_bhardlimit = (SIZE + disk.f_bsize) / 1024 });
	ASSERT_CHECKPOINT_ERRNO(-EDQUOT, &self->stage, "is_refused");
	remove_tree(_metadata, CHECKPOINT_DIR);
	wait_until_nothing_is_charged(_metadata);
	self->stage.remains = "lost+found seed";
}

SUBJECT_HARNESS_MAIN
