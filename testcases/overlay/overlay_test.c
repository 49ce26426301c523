// SPDX-License-Identifier: GPL-2.0
/*
 * Unlinked files on an overlay.
 *
 * An overlay can link (its ->tmpfile() would suggest so), but does not declare
 * FS_RELINK: a name would have to appear in the upper layer, for a file that
 * may be of a lower one, with or without an index of hard links. So a
 * checkpoint is refused with EOPNOTSUPP, whatever layer the file is of, and
 * neither layer is touched. Files that have their names work.
 *
 * Both layers are directories of the filesystem under test; the overlay of them
 * is the working directory. lost+found/checkpoint is there, in the upper layer:
 * it is not for want of a place.
 *
 * Without relinking every checkpoint of an unlinked file is refused with EBADF.
 */
#define _GNU_SOURCE
#include <sys/mount.h>

#include "orphan.h"
#include "relink.h"

#define MERGED "/tmp/merged"

FIXTURE(overlay)
{
	struct stage stage;
	char here[128];
};

/* An index keeps hard links together when a file is copied up; it changes what unlink() does. */
FIXTURE_VARIANT(overlay)
{
	const char *index;
};

FIXTURE_VARIANT_ADD(overlay, without_index)
{
	.index = "off",
};

FIXTURE_VARIANT_ADD(overlay, with_index)
{
	.index = "on",
};

FIXTURE_SETUP(overlay)
{
	char options[512];

	ASSERT_NE(NULL, getcwd(self->here, sizeof(self->here)));
	ASSERT_OK(mkdir("lower", 0700));
	ASSERT_OK(mkdir("upper", 0700));
	ASSERT_OK(mkdir("work", 0700));
	make_file(_metadata, "lower/of_lower", "lower");
	ASSERT_OK(mkdir(MERGED, 0700));
	snprintf(options, sizeof(options), "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work,index=%s", self->here,
		 self->here, self->here, variant->index);
	ASSERT_OK(mount("overlay", MERGED, "overlay", 0, options));
	ASSERT_OK(chdir(MERGED));
	stage_set_up(_metadata, &self->stage);
	self->stage.remains = "lost+found of_lower";
}

FIXTURE_TEARDOWN(overlay)
{
	stage_tear_down(_metadata, &self->stage);
	if (_metadata->exit_code != KSFT_PASS)
		return;
	ASSERT_OK(chdir(self->here));
	ASSERT_OK(umount(MERGED));
	ASSERT_NAMES("lower", "of_lower");
	ASSERT_HOLDS("lower/of_lower", "lower");
	remove_tree(_metadata, "lower");
	remove_tree(_metadata, "upper");
	remove_tree(_metadata, "work");
	ASSERT_OK(rmdir(MERGED));
}

/*
 * 1. open a new file, which is of the upper layer alone; unlink it.
 * 2. Checkpoint: EOPNOTSUPP. No name is made.
 */
SUBJECT(of_upper)
{
	int fd = new_orphan("a", "upper");

	if (event() == REFUSED)
		MUST_HOLD("upper", fd);
}

TEST_F(overlay, file_of_the_upper_layer)
{
	ASSERT_CHECKPOINT_ERRNO(-EOPNOTSUPP, &self->stage, "of_upper");
	ASSERT_LOG(&self->stage, "overlay cannot relink files");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. open a file of the lower layer for reading, unlink it: a whiteout hides
 *    it, the file itself is where it was.
 * 2. Checkpoint: EOPNOTSUPP. Silent success would have to open the whiteout's
 *    name, or a file of another layer.
 */
SUBJECT(of_lower)
{
	int fd = MUST(open("of_lower", O_RDONLY));

	MUST(unlink("of_lower"));
	if (event() == REFUSED)
		MUST_HOLD("lower", fd);
}

TEST_F(overlay, file_of_the_lower_layer)
{
	self->stage.remains = "lost+found";
	ASSERT_CHECKPOINT_ERRNO(-EOPNOTSUPP, &self->stage, "of_lower");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. open a file of the lower layer for writing, which copies it up; unlink it.
 * 2. Checkpoint: EOPNOTSUPP.
 */
SUBJECT(copied_up)
{
	int fd = MUST(open("of_lower", O_RDWR | O_APPEND));

	MUST_WRITE(fd, "and upper");
	MUST(unlink("of_lower"));
	if (event() == REFUSED)
		MUST_HOLD("lowerand upper", fd);
}

TEST_F(overlay, file_that_was_copied_up)
{
	self->stage.remains = "lost+found";
	ASSERT_CHECKPOINT_ERRNO(-EOPNOTSUPP, &self->stage, "copied_up");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. open one file of each layer, both keep their names.
 * 2. Checkpoint, restart. Both are there; the same before the series and after.
 */
SUBJECT(linked)
{
	int upper = new_file("a", "upper");
	int lower = MUST(open("of_lower", O_RDONLY));

	come_back();
	MUST_HOLD("upper", upper);
	MUST_HOLD("lower", lower);
}

TEST_F(overlay, files_with_names)
{
	self->stage.remains = "a lost+found of_lower";
	ASSERT_CHECKPOINT(&self->stage, "linked");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_RESTART(&self->stage);
}

SUBJECT_HARNESS_MAIN
