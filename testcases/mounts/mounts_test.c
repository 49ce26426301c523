// SPDX-License-Identifier: GPL-2.0
/*
 * The directory for names is below the root of the *mount* a file was opened
 * through, since a link does not cross mounts: one filesystem that is mounted in
 * three places has three of them, or one seen three times. A walk that would
 * leave the mount, by something mounted over the way or a symbolic link, is an
 * error, and nothing is made where it would have led.
 *
 * Names in an image are those in the root directory of the checkpointed task.
 *
 * Without relinking every checkpoint of an unlinked file is refused with EBADF.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include "orphan.h"
#include "relink.h"

#define PLACE "/tmp/place"

FIXTURE(mounts)
{
	struct stage stage;
	char here[64];
};

FIXTURE_SETUP(mounts)
{
	stage_set_up(_metadata, &self->stage);
	ASSERT_NE(NULL, getcwd(self->here, sizeof(self->here)));
	ASSERT_OK(mkdir(PLACE, 0700));
}

FIXTURE_TEARDOWN(mounts)
{
	if (_metadata->exit_code != KSFT_PASS)
		return;
	umount2(PLACE, MNT_DETACH);
	ASSERT_OK(rmdir(PLACE));
	stage_tear_down(_metadata, &self->stage);
}

/* No link(2) is tried: from one mount to another it fails for that reason first. */
static void must_be_unlinked(int fd, const char *text)
{
	MUST_EQ(0, subject_stat(fd).st_nlink);
	MUST_HOLD(text, fd);
}

/* An orphan that is opened in the place. */
SUBJECT(in_place)
{
	int fd = new_orphan(PLACE "/a", "orphan");
	struct stat before = subject_stat(fd);

	tell("inode", before.st_ino);
	come_back();
	MUST_EQ(before.st_ino, subject_stat(fd).st_ino);
	MUST_EQ(before.st_dev, subject_stat(fd).st_dev);
	must_be_unlinked(fd, "orphan");
}

/*
 * A mount whose root is a directory within the filesystem.
 *
 * 1. mkdir d with lost+found/checkpoint in it; mount d in a place.
 * 2. open place/a, unlink it. Checkpoint: one name, in d's own directory and
 *    not in the filesystem's.
 * 3. Restart: the file is opened through the place again.
 */
TEST_F(mounts, root_of_the_mount_is_a_subdirectory)
{
	self->stage.remains = "d lost+found";
	ASSERT_OK(mkdir("d", 0700));
	ASSERT_OK(mkdir("d/lost+found", 0700));
	ASSERT_OK(mkdir("d/" CHECKPOINT_DIR, 0700));
	ASSERT_OK(mount("d", PLACE, NULL, MS_BIND, NULL));
	ASSERT_CHECKPOINT(&self->stage, "in_place");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_EQ(1, names_in(_metadata, "d/" CHECKPOINT_DIR).count);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES("d/" CHECKPOINT_DIR, "");
	ASSERT_OK(umount(PLACE));
	remove_tree(_metadata, "d/lost+found");
}

/*
 * 1. mkdir d without such a directory; mount d in a place.
 * 2. Checkpoint of an orphan there: ENOENT. The filesystem's own directory is
 *    not used instead: to link there would cross mounts.
 */
SUBJECT(refused_in_place)
{
	int fd = new_orphan(PLACE "/a", "orphan");

	if (event() == REFUSED)
		must_be_unlinked(fd, "orphan");
}

TEST_F(mounts, subdirectory_without_the_directory)
{
	self->stage.remains = "d lost+found";
	ASSERT_OK(mkdir("d", 0700));
	ASSERT_OK(mount("d", PLACE, NULL, MS_BIND, NULL));
	ASSERT_CHECKPOINT_ERRNO(-ENOENT, &self->stage, "refused_in_place");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * The same filesystem twice: each file gets its name on the mount it was opened
 * through, one inode that was opened through both gets a name for each.
 *
 * 1. mount the filesystem in a second place.
 * 2. open a through one and b through the other; open c through both; unlink
 *    all. Checkpoint: four names, two of them of c's inode.
 * 3. Restart. Each is what it was; c is one inode.
 */
SUBJECT(two_mounts)
{
	int a = new_orphan("a", "first");
	int b = new_orphan(PLACE "/b", "second");
	int c = new_file("c", "both");
	int again = MUST(open(PLACE "/c", O_RDWR));

	MUST(unlink("c"));
	tell("both", subject_stat(c).st_ino);
	come_back();
	must_be_unlinked(a, "first");
	must_be_unlinked(b, "second");
	MUST_EQ(subject_stat(c).st_ino, subject_stat(again).st_ino);
	MUST_WRITE(c, "moth");
	must_be_unlinked(again, "bothmoth");
}

TEST_F(mounts, one_filesystem_in_two_places)
{
	unsigned long long both;
	struct relinked relinked;
	int count = 0;

	ASSERT_OK(mount(self->here, PLACE, NULL, MS_BIND, NULL));
	ASSERT_CHECKPOINT(&self->stage, "two_mounts");
	relinked = ASSERT_RELINKED(4);
	both = SUBJECT_TOLD(&self->stage, "both");
	for (int i = 0; i < relinked.count; i++)
		count += stat_of(_metadata, relinked.path[i]).st_ino == both;
	ASSERT_EQ(2, count);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A file that was mounted somewhere, as container managers do it, and replaced
 * where it came from since. It has no name there and no links, but the mount
 * leads to it: no other name is needed, nor could one be found on that mount.
 *
 * 1. mount the file f on another file; unlink f, make a new f.
 * 2. open the mount. Checkpoint: nothing is relinked. Restart: the old file.
 */
#define TARGET PLACE "/f"

SUBJECT(mounted_file)
{
	int fd = MUST(open(TARGET, O_RDONLY));

	MUST_EQ(0, subject_stat(fd).st_nlink);
	come_back();
	must_be_unlinked(fd, "old");
}

TEST_F(mounts, file_replaced_where_it_is_mounted_from)
{
	self->stage.remains = "f lost+found";
	make_file(_metadata, "f", "old");
	make_file(_metadata, TARGET, "");
	ASSERT_OK(mount("f", TARGET, NULL, MS_BIND, NULL));
	ASSERT_OK(unlink("f"));
	make_file(_metadata, "f", "new");
	ASSERT_CHECKPOINT(&self->stage, "mounted_file");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_RESTART(&self->stage);
	ASSERT_OK(umount(TARGET));
	ASSERT_OK(unlink(TARGET));
}

/*
 * The place is not there when the task is to come back: an error, and the name
 * is kept until it is.
 *
 * 1. mount the filesystem in a second place; checkpoint an orphan of it.
 * 2. unmount the place. Restart: EINVAL, the path leads to the root of no
 *    mount. mount it again. Restart.
 */
TEST_F(mounts, place_is_missing_at_restart)
{
	ASSERT_OK(mount(self->here, PLACE, NULL, MS_BIND, NULL));
	ASSERT_CHECKPOINT(&self->stage, "in_place");
	ASSERT_OK(umount(PLACE));
	ASSERT_RESTART_ERRNO(-EINVAL, &self->stage);
	ASSERT_RELINKED(1);
	ASSERT_OK(mount(self->here, PLACE, NULL, MS_BIND, NULL));
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A mount for reading only.
 *
 * 1. make a; mount the filesystem for reading only in a place, open place/a;
 *    unlink a by its other path.
 * 2. Checkpoint: EROFS, although the filesystem can be written to elsewhere.
 */
SUBJECT(read_only_place)
{
	int fd = MUST(open(PLACE "/a", O_RDONLY));

	MUST(unlink("a"));
	if (event() == REFUSED)
		must_be_unlinked(fd, "text");
}

static void mount_read_only(struct __test_metadata *_metadata, const char *what)
{
	ASSERT_OK(mount(what, PLACE, NULL, MS_BIND, NULL));
	ASSERT_OK(mount(NULL, PLACE, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
}

TEST_F(mounts, mount_for_reading_only)
{
	make_file(_metadata, "a", "text");
	mount_read_only(_metadata, self->here);
	ASSERT_CHECKPOINT_ERRNO(-EROFS, &self->stage, "read_only_place");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * The mount cannot be written to any more when the task is to come back: the
 * name could not be removed. An error, and the name is kept.
 *
 * 1. mount the filesystem in a place; checkpoint an orphan of it.
 * 2. make the place read-only. Restart: EROFS. Make it writable. Restart.
 */
TEST_F(mounts, mount_becomes_read_only_before_the_restart)
{
	ASSERT_OK(mount(self->here, PLACE, NULL, MS_BIND, NULL));
	ASSERT_CHECKPOINT(&self->stage, "in_place");
	ASSERT_OK(mount(NULL, PLACE, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
	ASSERT_RESTART_ERRNO(-EROFS, &self->stage);
	ASSERT_RELINKED(1);
	ASSERT_OK(mount(NULL, PLACE, NULL, MS_BIND | MS_REMOUNT, NULL));
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A filesystem is made read-only only when no inode waits to be removed. One
 * that has a name again does not wait; one that lost it again does.
 *
 * 1. open a for reading, unlink it: the remount fails with EBUSY.
 * 2. Checkpoint, the original goes on: the remount works, and back.
 * 3. Restart: EBUSY again.
 */
static int remount(unsigned long flags)
{
	return mount(NULL, ".", NULL, MS_REMOUNT | flags, NULL);
}

SUBJECT(remounts)
{
	enum role role;
	int fd;

	close(new_file("a", "text"));
	fd = MUST(open("a", O_RDONLY));
	MUST(unlink("a"));
	MUST_FAIL(-EBUSY, remount(MS_RDONLY));
	role = event();
	if (role == ORIGINAL) {
		MUST_EQ(1, subject_stat(fd).st_nlink);
		MUST(remount(MS_RDONLY));
		MUST(remount(0));
	}
	if (role == RESTARTED) {
		MUST_EQ(0, subject_stat(fd).st_nlink);
		MUST_FAIL(-EBUSY, remount(MS_RDONLY));
	}
}

TEST_F(mounts, remount_read_only)
{
	ASSERT_CHECKPOINT(&self->stage, "remounts");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * Who froze the filesystem may wait for the checkpoint before thawing it: the
 * checkpoint must not wait for the thaw.
 *
 * 1. open a, unlink a, freeze the filesystem.
 * 2. Checkpoint: EBUSY at once. Thaw. Checkpoint again, restart.
 */
SUBJECT(frozen)
{
	int fd = new_orphan("a", "orphan");
	int root = MUST(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	enum role role;

	MUST(ioctl(root, FIFREEZE, 0));
	role = event();
	MUST(ioctl(root, FITHAW, 0));
	MUST_EQ(REFUSED, role);
	MUST_EQ(0, subject_stat(fd).st_nlink);
	come_back();
	must_be_unlinked(fd, "orphan");
}

TEST_F(mounts, frozen_filesystem)
{
	ASSERT_CHECKPOINT(&self->stage, "frozen");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * Something else is mounted over the way to the directory. The link must not be
 * made below it, were it even of the same filesystem.
 *
 * 1. mount a tmpfs on lost+found/checkpoint, later on lost+found with a
 *    checkpoint directory in it.
 * 2. Checkpoint: EXDEV. Nothing is in the tmpfs, nothing below it.
 */
SUBJECT(orphan)
{
	int fd = new_orphan("a", "orphan");

	if (event() == REFUSED)
		must_be_unlinked(fd, "orphan");
}

TEST_F(mounts, directory_is_mounted_over)
{
	ASSERT_OK(mount("none", CHECKPOINT_DIR, "tmpfs", 0, NULL));
	ASSERT_CHECKPOINT_ERRNO(-EXDEV, &self->stage, "orphan");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_OK(umount(CHECKPOINT_DIR));
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

TEST_F(mounts, lost_and_found_is_mounted_over)
{
	ASSERT_OK(mount("none", "lost+found", "tmpfs", 0, NULL));
	ASSERT_OK(mkdir(CHECKPOINT_DIR, 0700));
	ASSERT_CHECKPOINT_ERRNO(-EXDEV, &self->stage, "orphan");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_OK(umount("lost+found"));
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/* The same filesystem mounted over its own directory is another mount still. */
TEST_F(mounts, directory_is_mounted_over_by_itself)
{
	ASSERT_OK(mount(CHECKPOINT_DIR, CHECKPOINT_DIR, NULL, MS_BIND, NULL));
	ASSERT_CHECKPOINT_ERRNO(-EXDEV, &self->stage, "orphan");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_OK(umount(CHECKPOINT_DIR));
}

/*
 * The way leads elsewhere: a link is not followed, a file is no directory.
 *
 * 1. lost+found/checkpoint is a file; a symbolic link to a directory; lost+found
 *    is a symbolic link to a directory that has the other.
 * 2. Checkpoint: ENOTDIR, ELOOP, ELOOP. Nothing is made where a link led.
 */
TEST_F(mounts, directory_is_a_file)
{
	ASSERT_OK(rmdir(CHECKPOINT_DIR));
	make_file(_metadata, CHECKPOINT_DIR, "file");
	ASSERT_CHECKPOINT_ERRNO(-ENOTDIR, &self->stage, "orphan");
	ASSERT_HOLDS(CHECKPOINT_DIR, "file");
	ASSERT_OK(unlink(CHECKPOINT_DIR));
}

TEST_F(mounts, directory_is_a_symbolic_link)
{
	self->stage.remains = "elsewhere lost+found";
	ASSERT_OK(rename(CHECKPOINT_DIR, "elsewhere"));
	ASSERT_OK(symlink("../elsewhere", CHECKPOINT_DIR));
	ASSERT_CHECKPOINT_ERRNO(-ELOOP, &self->stage, "orphan");
	ASSERT_NAMES("elsewhere", "");
	ASSERT_OK(unlink(CHECKPOINT_DIR));
}

/* In a mount of a directory: xfs_repair(8) insists that the filesystem's own is a directory. */
TEST_F(mounts, lost_and_found_is_a_symbolic_link)
{
	self->stage.remains = "d lost+found";
	ASSERT_OK(mkdir("d", 0700));
	ASSERT_OK(mkdir("d/elsewhere", 0700));
	ASSERT_OK(mkdir("d/elsewhere/checkpoint", 0700));
	ASSERT_OK(symlink("elsewhere", "d/lost+found"));
	ASSERT_OK(mount("d", PLACE, NULL, MS_BIND, NULL));
	ASSERT_CHECKPOINT_ERRNO(-ELOOP, &self->stage, "refused_in_place");
	ASSERT_NAMES("d/elsewhere/checkpoint", "");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	remove_tree(_metadata, "d/elsewhere");
	ASSERT_OK(unlink("d/lost+found"));
}

/*
 * A mount that is attached nowhere any more, but held by an open file.
 *
 * 1. mount the filesystem in a place, open place/a, unlink it; unmount the
 *    place lazily.
 * 2. Checkpoint: ENOENT. No name is made: none could be found by a path.
 */
SUBJECT(detached)
{
	int fd = new_orphan(PLACE "/a", "orphan");

	MUST(umount2(PLACE, MNT_DETACH));
	if (event() == REFUSED)
		must_be_unlinked(fd, "orphan");
}

TEST_F(mounts, mount_was_detached)
{
	ASSERT_OK(mount(self->here, PLACE, NULL, MS_BIND, NULL));
	ASSERT_CHECKPOINT_ERRNO(-ENOENT, &self->stage, "detached");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A file outside the root directory of the task: no path that the task could
 * use leads to it. The name that was made for it is taken back.
 *
 * 1. open a, unlink a; make another directory the root.
 * 2. Checkpoint: EBADF. No name is left.
 */
SUBJECT(outside)
{
	int fd = new_orphan("a", "orphan");

	MUST(chroot(PLACE));
	MUST(chdir("/"));
	/* What it has to say it says by a path of the new root. */
	strcpy(subject_self.folder, "/folder");
	if (event() == REFUSED)
		MUST_EQ(0, subject_stat(fd).st_nlink);
}

TEST_F(mounts, file_outside_the_root)
{
	ASSERT_OK(mount("none", PLACE, "tmpfs", 0, NULL));
	ASSERT_OK(mkdir(PLACE "/folder", 0700));
	ASSERT_OK(mount(self->stage.folder, PLACE "/folder", NULL, MS_BIND, NULL));
	ASSERT_CHECKPOINT_ERRNO(-EBADF, &self->stage, "outside");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_OK(umount(PLACE "/folder"));
}

/*
 * In a root of its own the filesystem has another path. The image has that one,
 * and the task comes back where the same root is entered first.
 *
 * 1. a root with the filesystem as /data; enter it; open /data/a, unlink it.
 * 2. Checkpoint. Restart outside: ENOENT, the name is kept. Restart in that
 *    root: the same inode.
 */
static int enter_place(void)
{
	return chroot(PLACE) ?: chdir("/");
}

SUBJECT(in_root)
{
	struct stat before;
	int fd;

	/* Executed anew within: its own program has to have a path there too. */
	if (access("/data", F_OK)) {
		const char *program = own_program();

		MUST(enter_place());
		begin_anew(program, "in_root");
	}
	fd = new_orphan("/data/a", "orphan");
	before = subject_stat(fd);
	come_back();
	MUST_EQ(before.st_ino, subject_stat(fd).st_ino);
	MUST_EQ(0, subject_stat(fd).st_nlink);
	MUST_HOLD("orphan", fd);
}

/* A root that has the stage's folder at its own path, and the filesystem as /data. */
static void make_root(struct __test_metadata *_metadata, const char *here)
{
	ASSERT_OK(mount("none", PLACE, "tmpfs", 0, NULL));
	ASSERT_OK(mkdir(PLACE "/data", 0700));
	ASSERT_OK(mkdir(PLACE "/tmp", 0700));
	ASSERT_OK(mkdir(PLACE "/cases", 0700));
	ASSERT_OK(mount(here, PLACE "/data", NULL, MS_BIND, NULL));
	ASSERT_OK(mount("/tmp", PLACE "/tmp", NULL, MS_BIND, NULL));
	ASSERT_OK(mount("/cases", PLACE "/cases", NULL, MS_BIND, NULL));
}

static void remove_root(struct __test_metadata *_metadata)
{
	ASSERT_OK(umount(PLACE "/cases"));
	ASSERT_OK(umount(PLACE "/tmp"));
	ASSERT_OK(umount(PLACE "/data"));
}

TEST_F(mounts, root_of_its_own)
{
	make_root(_metadata, self->here);
	ASSERT_CHECKPOINT(&self->stage, "in_root");
	ASSERT_RELINKED(1);
	ASSERT_RESTART_ERRNO(-ENOENT, &self->stage);
	ASSERT_RELINKED(1);
	self->stage.before_restart = enter_place;
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	remove_root(_metadata);
}

/*
 * A mount namespace of its own, in which the filesystem has a place that nobody
 * else sees.
 *
 * 1. the subject leaves the mount namespace and mounts the filesystem in a
 *    place; open place/a, unlink it.
 * 2. Checkpoint. Restart outside: EINVAL, no mount is there; the name is kept.
 *    Restart where the same was mounted before: the same inode.
 */
static int mount_in_own_namespace(void)
{
	return unshare(CLONE_NEWNS) ?: mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ?:
	       mount(".", PLACE, NULL, MS_BIND, NULL);
}

SUBJECT(in_namespace)
{
	struct stat before, above;
	int fd;

	MUST(stat(PLACE, &before));
	MUST(stat("/tmp", &above));
	if (before.st_dev == above.st_dev) {
		MUST(mount_in_own_namespace());
		begin_anew(own_program(), "in_namespace");
	}
	fd = new_orphan(PLACE "/a", "orphan");
	before = subject_stat(fd);
	come_back();
	MUST_EQ(before.st_ino, subject_stat(fd).st_ino);
	must_be_unlinked(fd, "orphan");
}

TEST_F(mounts, mount_namespace_of_its_own)
{
	ASSERT_CHECKPOINT(&self->stage, "in_namespace");
	ASSERT_RELINKED(1);
	ASSERT_RESTART_ERRNO(-EINVAL, &self->stage);
	ASSERT_RELINKED(1);
	self->stage.before_restart = mount_in_own_namespace;
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * Paths of PATH_MAX bytes end with the NUL. The name is what it takes to get
 * there and ".../lost+found/checkpoint/unlink-at-restart-...": a place whose own
 * path leaves no room for it.
 *
 * 1. make directories in directories, each of 200 bytes, as deep as the case
 *    says; mount the filesystem in the last; open a there, unlink it.
 * 2. Deeper than there is room: ENAMETOOLONG, and the name that was made is
 *    taken back. With room: checkpoint and restart.
 */
enum { STEP = 200 };

static void descend(struct __test_metadata *_metadata, int depth)
{
	char step[STEP + 1];

	memset(step, 'd', STEP);
	step[STEP] = '\0';
	ASSERT_OK(mount("none", PLACE, "tmpfs", 0, NULL));
	ASSERT_OK(chdir(PLACE));
	for (int i = 0; i < depth; i++) {
		ASSERT_OK(mkdir(step, 0700));
		ASSERT_OK(chdir(step));
	}
}

/* Mounts the filesystem on the directory that is deep down, and goes there. */
static void mount_deep(struct __test_metadata *_metadata, const char *here, int depth)
{
	descend(_metadata, depth);
	ASSERT_OK(mkdir("mount-of-20-bytes---", 0700));
	ASSERT_OK(mount(here, "mount-of-20-bytes---", NULL, MS_BIND, NULL));
	ASSERT_OK(chdir("mount-of-20-bytes---"));
}

static void leave_deep(struct __test_metadata *_metadata, const char *here)
{
	ASSERT_OK(chdir(here));
	ASSERT_OK(umount2(PLACE, MNT_DETACH));
}

SUBJECT(deep)
{
	int fd = new_orphan("a", "orphan");

	if (event() == ORIGINAL)
		_exit(EXIT_SUCCESS);
	must_be_unlinked(fd, "orphan");
}

TEST_F(mounts, path_too_long_for_the_name)
{
	/* "/tmp/place", 20 times "/" and 200 bytes, "/" and 20: 4051. "/lost+found/checkpoint/" and the name are over 50. */
	mount_deep(_metadata, self->here, 20);
	ASSERT_CHECKPOINT_ERRNO(-ENAMETOOLONG, &self->stage, "deep");
	leave_deep(_metadata, self->here);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

TEST_F(mounts, path_just_short_enough)
{
	mount_deep(_metadata, self->here, 19);
	ASSERT_CHECKPOINT(&self->stage, "deep");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	leave_deep(_metadata, self->here);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A root that was removed. What the task runs is not below it, and nothing else
 * can be: an image would have no path for anything.
 *
 * 1. a task makes a directory its root, and the directory is removed.
 * 2. Freeze the task, checkpoint: EBADF. Neither name nor stand-in. Thawed, it
 *    has its root as before.
 */
static void live_in(const char *folder)
{
	if (!stage_enter_cgroup() && !chroot(folder) && !chdir("/"))
		for (;;)
			pause();
	_exit(EXIT_FAILURE);
}

static bool has_root(pid_t child, const char *end)
{
	char path[64], root[256] = "";

	snprintf(path, sizeof(path), "/proc/%d/root", child);
	return readlink(path, root, sizeof(root) - 1) > 0 && strstr(root, end);
}

TEST_F(mounts, root_that_was_removed)
{
	cleanup_close int image = subject_open(self->stage.folder, "image", 1, O_RDWR | O_CREAT | O_EXCL);
	cleanup_close int log = subject_open(self->stage.folder, "kernel", 1, O_WRONLY | O_CREAT | O_EXCL);
	pid_t child;
	long result;

	stage_make_cgroup(_metadata);
	ASSERT_OK(mkdir("root", 0700));
	child = ASSERT_OK(fork());
	if (!child)
		live_in("root");
	while (!has_root(child, "/root"))
		usleep(1000);
	ASSERT_OK(rmdir("root"));
	stage_freeze(_metadata, true);
	result = sys_checkpoint(child, image, CHECKPOINT_SUBTREE, log);
	stage_freeze(_metadata, false);
	ASSERT_TRUE(has_root(child, "/root (deleted)"));
	ASSERT_OK(kill(child, SIGKILL));
	stage_wait_for(_metadata, child);
	ASSERT_ERRNO_EQ(-EBADF, result);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

SUBJECT_HARNESS_MAIN
