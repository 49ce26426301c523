// SPDX-License-Identifier: GPL-2.0
/*
 * Subvolumes of btrfs. Each is a tree of its own within the filesystem, across
 * which no link goes, though it is not a mount unless somebody mounts it.
 *
 * A snapshot of a subvolume is what relinking is for: the names are in it, and
 * a task comes back from it with the contents of that time.
 *
 * Without relinking every checkpoint here is refused with EBADF.
 */
#define _GNU_SOURCE
#include <linux/btrfs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include "orphan.h"
#include "relink.h"

#define PLACE "/tmp/place"

FIXTURE(subvolumes)
{
	struct stage stage;
};

static int root_of(struct __test_metadata *_metadata, const char *path)
{
	return ASSERT_OK(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

FIXTURE_SETUP(subvolumes)
{
	struct btrfs_ioctl_vol_args subvolume = { .name = "data" };
	cleanup_close int root = -1;

	stage_set_up(_metadata, &self->stage);
	root = root_of(_metadata, ".");
	ASSERT_OK(ioctl(root, BTRFS_IOC_SUBVOL_CREATE, &subvolume));
	ASSERT_OK(mkdir(PLACE, 0700));
}

static void remove_subvolume(struct __test_metadata *_metadata, const char *name)
{
	struct btrfs_ioctl_vol_args subvolume = { 0 };
	cleanup_close int root = root_of(_metadata, ".");

	strcpy(subvolume.name, name);
	ASSERT_OK(ioctl(root, BTRFS_IOC_SNAP_DESTROY, &subvolume));
}

FIXTURE_TEARDOWN(subvolumes)
{
	if (_metadata->exit_code != KSFT_PASS)
		return;
	ASSERT_OK(rmdir(PLACE));
	remove_subvolume(_metadata, "data");
	stage_tear_down(_metadata, &self->stage);
}

/*
 * 1. open a file of the subvolume by a path through the filesystem's root,
 *    unlink it.
 * 2. Checkpoint: EXDEV, as the directory for names is another subvolume's. No
 *    name.
 */
SUBJECT(through_the_root)
{
	int fd = new_orphan("data/a", "orphan");

	if (event() != REFUSED)
		return;
	MUST_EQ(0, subject_stat(fd).st_nlink);
	MUST_HOLD("orphan", fd);
}

TEST_F(subvolumes, file_of_another_subvolume)
{
	ASSERT_CHECKPOINT_ERRNO(-EXDEV, &self->stage, "through_the_root");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_NAMES("data", "");
}

static void mount_subvolume(struct __test_metadata *_metadata, const char *name)
{
	char option[64];

	snprintf(option, sizeof(option), "subvol=%s", name);
	ASSERT_OK(mount(getenv("LAB_DEVICE"), PLACE, "btrfs", 0, option));
}

/* The subvolume, mounted, with a directory for names of its own. */
static void mount_data(struct __test_metadata *_metadata)
{
	mount_subvolume(_metadata, "data");
	ASSERT_OK(mkdir(PLACE "/lost+found", 0700));
	ASSERT_OK(mkdir(PLACE "/" CHECKPOINT_DIR, 0700));
}

/*
 * 1. mount the subvolume, with a directory for names. open place/a, unlink it.
 * 2. Checkpoint: one name, in the subvolume. Restart.
 */
SUBJECT(in_place)
{
	int fd = new_orphan(PLACE "/a", "orphan");
	struct stat before = subject_stat(fd);

	come_back();
	MUST_EQ(before.st_ino, subject_stat(fd).st_ino);
	MUST_EQ(0, subject_stat(fd).st_nlink);
	MUST_HOLD("orphan", fd);
}

TEST_F(subvolumes, subvolume_that_is_mounted)
{
	mount_data(_metadata);
	ASSERT_CHECKPOINT(&self->stage, "in_place");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_EQ(1, names_in(_metadata, PLACE "/" CHECKPOINT_DIR).count);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(PLACE "/" CHECKPOINT_DIR, "");
	ASSERT_OK(umount(PLACE));
}

/*
 * The protocol that relinking was made for, with a snapshot for a backup.
 *
 * 1. as above. Checkpoint.
 * 2. snapshot the subvolume. Then the file is overwritten by its name, which
 *    the snapshot does not see.
 * 3. mount the snapshot in the place of the subvolume. Restart: the contents
 *    are those of the checkpoint, and the name goes from the snapshot alone.
 */
SUBJECT(snapshotted)
{
	int fd = new_orphan(PLACE "/a", "before");

	come_back();
	MUST_EQ(0, subject_stat(fd).st_nlink);
	MUST_HOLD("before", fd);
	MUST_WRITE(fd, "hand");
	MUST_HOLD("beforehand", fd);
}

static void snapshot(struct __test_metadata *_metadata, const char *name)
{
	cleanup_close int root = root_of(_metadata, ".");
	cleanup_close int data = root_of(_metadata, "data");
	struct btrfs_ioctl_vol_args_v2 args = { .fd = data };

	strcpy(args.name, name);
	ASSERT_OK(ioctl(root, BTRFS_IOC_SNAP_CREATE_V2, &args));
}

static void write_by_name(struct __test_metadata *_metadata, const char *folder, const char *text)
{
	struct names names = names_in(_metadata, folder);
	cleanup_close int fd = -1;
	char path[512];

	ASSERT_EQ(1, names.count);
	snprintf(path, sizeof(path), "%s/%s", folder, names.name[0]);
	fd = ASSERT_OK(open(path, O_WRONLY | O_TRUNC));
	ASSERT_EQ((ssize_t)strlen(text), write(fd, text, strlen(text)));
}

TEST_F(subvolumes, restart_from_a_snapshot)
{
	mount_data(_metadata);
	ASSERT_CHECKPOINT(&self->stage, "snapshotted");
	snapshot(_metadata, "snapshot");
	write_by_name(_metadata, PLACE "/" CHECKPOINT_DIR, "after");
	ASSERT_OK(umount(PLACE));

	mount_subvolume(_metadata, "snapshot");
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(PLACE "/" CHECKPOINT_DIR, "");
	ASSERT_OK(umount(PLACE));
	ASSERT_EQ(1, names_in(_metadata, "data/" CHECKPOINT_DIR).count);
	remove_subvolume(_metadata, "snapshot");
}

SUBJECT_HARNESS_MAIN
