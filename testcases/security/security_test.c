// SPDX-License-Identifier: GPL-2.0
/*
 * Who may have a name made, and who may use it.
 *
 * Whoever holds an unlinked file may have been handed it and not be able to
 * find it. To give it a name takes CAP_DAC_READ_SEARCH over the inode, which
 * finding it would have taken; whether a name may be made in the directory is
 * for its permissions to say; whether this file may be linked, for the rules of
 * linkat(2): fs.protected_hardlinks, immutable and append-only files, security
 * modules. Every refusal leaves no name.
 *
 * Subjects open their files as root, then become a user.
 *
 * Without relinking every checkpoint here is refused with EBADF.
 */
#define _GNU_SOURCE
#include <linux/fs.h>
#include <linux/landlock.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "orphan.h"
#include "privileges.h"
#include "relink.h"

FIXTURE(security)
{
	struct stage stage;
};

FIXTURE_SETUP(security)
{
	stage_set_up(_metadata, &self->stage);
}

FIXTURE_TEARDOWN(security)
{
	stage_tear_down(_metadata, &self->stage);
}

enum { USER = 1000, OTHER = 1001 };

#define READ_SEARCH CAPABILITY(CAP_DAC_READ_SEARCH)
#define OVERRIDE CAPABILITY(CAP_DAC_OVERRIDE)

static void set_sysctl(struct __test_metadata *_metadata, const char *path, const char *value)
{
	cleanup_close int fd = ASSERT_OK(open(path, O_WRONLY));

	ASSERT_EQ((ssize_t)strlen(value), write(fd, value, strlen(value)));
}

#define PROTECTED_HARDLINKS "/proc/sys/fs/protected_hardlinks"

/* Everybody may make names: only what the kernel asks of the task itself is left to refuse. */
static void open_directory_to_all(struct __test_metadata *_metadata)
{
	ASSERT_OK(chmod("lost+found", 0755));
	ASSERT_OK(chmod(CHECKPOINT_DIR, 0777));
}

/*
 * One privilege at a time, the file being the user's own, so that no rule about
 * other people's files has a say.
 *
 * 1. open a, give it to the user, unlink it; become that user with just these
 *    capabilities.
 * 2. Checkpoint: as the case says. Where it is refused the file has no name.
 */
static void own_file_with(uint64_t capabilities)
{
	int fd = new_orphan("a", "own");

	MUST(fchown(fd, USER, USER));
	subject_become(USER, capabilities);
	if (event() == REFUSED)
		MUST_EQ(0, subject_stat(fd).st_nlink);
	MUST_HOLD("own", fd);
}

SUBJECT(nothing)
{
	own_file_with(0);
}

SUBJECT(override)
{
	own_file_with(OVERRIDE);
}

SUBJECT(fowner)
{
	own_file_with(CAPABILITY(CAP_FOWNER));
}

SUBJECT(read_search)
{
	own_file_with(READ_SEARCH);
}

SUBJECT(both)
{
	own_file_with(READ_SEARCH | OVERRIDE);
}

SUBJECT(all_but_one)
{
	own_file_with(ALL_CAPABILITIES & ~READ_SEARCH);
}

TEST_F(security, no_capability)
{
	open_directory_to_all(_metadata);
	ASSERT_CHECKPOINT_ERRNO(-EPERM, &self->stage, "nothing");
	ASSERT_LOG(&self->stage, "needs CAP_DAC_READ_SEARCH");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

TEST_F(security, dac_override_alone)
{
	open_directory_to_all(_metadata);
	ASSERT_CHECKPOINT_ERRNO(-EPERM, &self->stage, "override");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/* CAP_FOWNER is what patch 5/6 tested by mistake: CAP_DAC_OVERRIDE | CAP_DAC_READ_SEARCH is 1 | 2. */
TEST_F(security, fowner_alone)
{
	open_directory_to_all(_metadata);
	ASSERT_CHECKPOINT_ERRNO(-EPERM, &self->stage, "fowner");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

TEST_F(security, all_but_dac_read_search)
{
	open_directory_to_all(_metadata);
	ASSERT_CHECKPOINT_ERRNO(-EPERM, &self->stage, "all_but_one");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/* Enough where the directory lets everybody write ... */
TEST_F(security, dac_read_search_alone)
{
	open_directory_to_all(_metadata);
	ASSERT_CHECKPOINT(&self->stage, "read_search");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/* ... not enough where it is root's, which CAP_DAC_READ_SEARCH may enter but not write to ... */
TEST_F(security, directory_is_roots)
{
	ASSERT_CHECKPOINT_ERRNO(-EACCES, &self->stage, "read_search");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/* ... enough there with the right to write. */
TEST_F(security, directory_is_roots_and_overridden)
{
	ASSERT_CHECKPOINT(&self->stage, "both");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * Somebody else's file. fs.protected_hardlinks keeps users from making links to
 * files that they could not write to; to relink is to link.
 *
 * 1. open a file of another user for reading, unlink it, become a user.
 * 2. Checkpoint with fs.protected_hardlinks = 1: EPERM, no name; with 0: a name.
 */
SUBJECT(foreign)
{
	int fd = new_file("a", "foreign");
	int reader = MUST(open("a", O_RDONLY));

	MUST(fchown(fd, OTHER, OTHER));
	MUST(close(fd));
	MUST(unlink("a"));
	subject_become(USER, READ_SEARCH);
	event();
	MUST_HOLD("foreign", reader);
}

TEST_F(security, foreign_file_is_protected)
{
	open_directory_to_all(_metadata);
	set_sysctl(_metadata, PROTECTED_HARDLINKS, "1");
	ASSERT_CHECKPOINT_ERRNO(-EPERM, &self->stage, "foreign");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

TEST_F(security, foreign_file_is_not_protected)
{
	open_directory_to_all(_metadata);
	set_sysctl(_metadata, PROTECTED_HARDLINKS, "0");
	ASSERT_CHECKPOINT(&self->stage, "foreign");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A name is a way in. In a directory that is root's, nobody who was not let in
 * before gets at the file by it; a program with the bit to run as its owner
 * least of all.
 *
 * 1. open a file that everybody may read and run as its owner; unlink it.
 * 2. Checkpoint: one name, with the mode of the file.
 * 3. A third user can neither open it, nor link it to a name of his own.
 * 4. Restart: the name is gone.
 */
SUBJECT(runs_as_owner)
{
	int fd = new_orphan("a", "program");

	MUST(fchmod(fd, 04755));
	come_back();
	MUST_EQ(04755, subject_stat(fd).st_mode & 07777);
	must_be_orphan(fd, "program");
}

static void try_as_third_user(const char *name)
{
	if (become(OTHER, 0))
		_exit(1);
	if (open(name, O_RDONLY) >= 0 || errno != EACCES)
		_exit(2);
	if (!link(name, "/tmp/mine") || (errno != EACCES && errno != EXDEV))
		_exit(3);
	if (!access(name, F_OK))
		_exit(4);
	_exit(0);
}

TEST_F(security, name_is_out_of_reach_for_others)
{
	struct relinked relinked;
	pid_t child;

	ASSERT_CHECKPOINT(&self->stage, "runs_as_owner");
	relinked = ASSERT_RELINKED(1);
	ASSERT_EQ(04755, (int)(stat_of(_metadata, relinked.path[0]).st_mode & 07777));
	child = ASSERT_OK(fork());
	if (!child)
		try_as_third_user(relinked.path[0]);
	ASSERT_EQ(0, stage_wait_for(_metadata, child));
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * Flags that forbid links may be set on a file that has none.
 *
 * 1. open a, unlink it, set the flag.
 * 2. Checkpoint: EPERM. No name. The flag is there still.
 */
static void with_flag(int flag)
{
	int fd = new_orphan("a", "flagged");
	int flags = 0, now = 0;

	MUST(ioctl(fd, FS_IOC_GETFLAGS, &flags));
	flags |= flag;
	MUST(ioctl(fd, FS_IOC_SETFLAGS, &flags));
	if (event() == REFUSED)
		MUST_EQ(0, subject_stat(fd).st_nlink);
	MUST(ioctl(fd, FS_IOC_GETFLAGS, &now));
	MUST_EQ(flag, now & flag);
	flags &= ~flag;
	MUST(ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

SUBJECT(append_only)
{
	with_flag(FS_APPEND_FL);
}

SUBJECT(immutable)
{
	with_flag(FS_IMMUTABLE_FL);
}

TEST_F(security, append_only_after_unlink)
{
	ASSERT_CHECKPOINT_ERRNO(-EPERM, &self->stage, "append_only");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

TEST_F(security, immutable_after_unlink)
{
	ASSERT_CHECKPOINT_ERRNO(-EPERM, &self->stage, "immutable");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * Restarting takes CAP_CHECKPOINT_RESTORE, and the right to remove the name.
 * Who lacks one of them gets an error, and the name is kept for who does not.
 *
 * 1. open a, unlink a. Checkpoint.
 * 2. A user who may remove the name, but has no privilege: EPERM.
 * 3. The directory is root's. A user who may restart, but not enter it: EACCES.
 *    One who may enter it, but not write to it: EACCES.
 * 4. Root restarts.
 */
SUBJECT(plain)
{
	int fd = new_orphan("a", "plain");

	MUST(fchmod(fd, 0666));
	come_back();
	must_be_orphan(fd, "plain");
}

static int as_user(void)
{
	return become(USER, 0);
}

static int as_restorer(void)
{
	return become(USER, CAPABILITY(CAP_CHECKPOINT_RESTORE));
}

static int as_restorer_who_searches(void)
{
	return become(USER, CAPABILITY(CAP_CHECKPOINT_RESTORE) | READ_SEARCH);
}

TEST_F(security, restart_by_a_user)
{
	ASSERT_CHECKPOINT(&self->stage, "plain");
	stage_open_folder(_metadata, &self->stage);
	open_directory_to_all(_metadata);
	self->stage.before_restart = as_user;
	ASSERT_RESTART_ERRNO(-EPERM, &self->stage);
	ASSERT_RELINKED(1);
	ASSERT_OK(chmod("lost+found", 0700));
	ASSERT_OK(chmod(CHECKPOINT_DIR, 0700));
	self->stage.before_restart = as_restorer;
	ASSERT_RESTART_ERRNO(-EACCES, &self->stage);
	self->stage.before_restart = as_restorer_who_searches;
	ASSERT_RESTART_ERRNO(-EACCES, &self->stage);
	ASSERT_RELINKED(1);
	self->stage.before_restart = NULL;
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A security module that does not know of relinking must be asked all the same.
 *
 * 1. open a, unlink a; with Landlock, give up the right to make files or to
 *    link between directories.
 * 2. Checkpoint: EACCES. No name.
 */
static void give_up_links(void)
{
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER,
	};
	int ruleset = MUST(syscall(__NR_landlock_create_ruleset, &attr, sizeof(attr), 0));
	/* Where it writes image and report it may go on to make files. */
	struct landlock_path_beneath_attr folder = {
		.allowed_access = LANDLOCK_ACCESS_FS_MAKE_REG,
		.parent_fd = MUST(open(subject_self.folder, O_PATH | O_DIRECTORY)),
	};

	MUST(syscall(__NR_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &folder, 0));
	MUST(close(folder.parent_fd));
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	MUST(syscall(__NR_landlock_restrict_self, ruleset, 0));
	MUST(close(ruleset));
}

SUBJECT(landlocked)
{
	int fd = new_orphan("a", "orphan");

	give_up_links();
	if (event() == REFUSED)
		MUST_EQ(0, subject_stat(fd).st_nlink);
	MUST_HOLD("orphan", fd);
}

TEST_F(security, security_module_refuses_the_link)
{
	ASSERT_CHECKPOINT_ERRNO(-EACCES, &self->stage, "landlocked");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

SUBJECT_HARNESS_MAIN
