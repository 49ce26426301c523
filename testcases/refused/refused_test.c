// SPDX-License-Identifier: GPL-2.0
/*
 * Filesystems that do not say that they can link what was unlinked.
 *
 * A checkpoint that holds an unlinked file on one of them is refused as a whole,
 * before anything is made, and says which file and which filesystem it was:
 * EOPNOTSUPP. Files that have their names are none of its business, there as
 * anywhere.
 *
 * Without relinking every checkpoint of an unlinked file is refused with EBADF.
 */
#define _GNU_SOURCE
#include "orphan.h"
#include "relink.h"

FIXTURE(refused)
{
	struct stage stage;
};

FIXTURE_SETUP(refused)
{
	stage_set_up(_metadata, &self->stage);
}

FIXTURE_TEARDOWN(refused)
{
	stage_tear_down(_metadata, &self->stage);
}

/*
 * 1. open a, unlink a.
 * 2. Checkpoint: EOPNOTSUPP. The log names a and the filesystem's type.
 * 3. No name is made; the task goes on with its file.
 */
SUBJECT(orphan)
{
	int fd = new_orphan("a", "orphan");

	if (event() == REFUSED)
		MUST_HOLD("orphan", fd);
}

TEST_F(refused, unlinked_file)
{
	char words[64];

	ASSERT_CHECKPOINT_ERRNO(-EOPNOTSUPP, &self->stage, "orphan");
	snprintf(words, sizeof(words), "/a: unlinked, and %s cannot relink files", getenv("LAB_FS"));
	ASSERT_LOG(&self->stage, words);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. open a directory, remove it.
 * 2. Checkpoint: EOPNOTSUPP, and no directory stands in.
 */
SUBJECT(removed)
{
	new_removed_directory("d");
	event();
}

TEST_F(refused, removed_directory)
{
	ASSERT_CHECKPOINT_ERRNO(-EOPNOTSUPP, &self->stage, "removed");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. map a shared, close it, unlink it.
 * 2. Checkpoint: EOPNOTSUPP.
 */
SUBJECT(mapping)
{
	int fd = new_file("a", "mapped");

	if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
		SUBJECT_FAIL("mmap: %s", errno_text(-errno).text);
	close(fd);
	MUST(unlink("a"));
	event();
}

TEST_F(refused, mapped_only)
{
	ASSERT_CHECKPOINT_ERRNO(-EOPNOTSUPP, &self->stage, "mapping");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. open a, which keeps its name.
 * 2. Checkpoint, restart: the same before the series and after it.
 */
SUBJECT(linked)
{
	int fd = new_file("a", "linked");

	come_back();
	MUST_HOLD("linked", fd);
	MUST_EQ(6, lseek(fd, 0, SEEK_CUR));
}

TEST_F(refused, linked_file_is_none_of_its_business)
{
	self->stage.remains = "a lost+found";
	ASSERT_CHECKPOINT(&self->stage, "linked");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_RESTART(&self->stage);
	ASSERT_HOLDS("a", "linked");
}

SUBJECT_HARNESS_MAIN
