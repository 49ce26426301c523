// SPDX-License-Identifier: GPL-2.0
/*
 * The calls themselves, where unlinked files come into it: where the image and
 * the log are, whose task it is, which kernel reads the image.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>

#include "orphan.h"
#include "relink.h"

FIXTURE(calls)
{
	struct stage stage;
};

FIXTURE_SETUP(calls)
{
	stage_set_up(_metadata, &self->stage);
}

FIXTURE_TEARDOWN(calls)
{
	stage_tear_down(_metadata, &self->stage);
}

SUBJECT(plain)
{
	int fd = new_orphan("a", "plain");

	come_back();
	must_be_orphan(fd, "plain");
}

/*
 * The image goes to the filesystem on which the names are made: nothing may
 * wait for itself.
 *
 * 1. image, log and all else the subject writes are on the filesystem under
 *    test. open a, unlink a. Checkpoint: one name, for a alone. Restart.
 */
TEST_F(calls, image_on_the_filesystem_itself)
{
	char elsewhere[sizeof(self->stage.folder)];

	strcpy(elsewhere, self->stage.folder);
	ASSERT_NE(NULL, getcwd(self->stage.folder, sizeof(self->stage.folder) - 8));
	strcat(self->stage.folder, "/images");
	ASSERT_OK(mkdir("images", 0700));
	ASSERT_CHECKPOINT(&self->stage, "plain");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	remove_tree(_metadata, "images");
	strcpy(self->stage.folder, elsewhere);
}

/*
 * Image and log are no files of the task: were they unlinked, they would need
 * no name.
 *
 * 1. open a, unlink a; open image and log, unlink both but for another name of
 *    the image.
 * 2. Checkpoint to them: one name, a's.
 * 3. Restart from the image by its other name: neither is open.
 */
static void copy_to(const char *from, const char *to)
{
	int source = MUST(open(from, O_RDONLY)), target = MUST(open(to, O_WRONLY | O_CREAT | O_EXCL, 0600));
	static char bytes[1 << 16];
	ssize_t got;

	while ((got = MUST(read(source, bytes, sizeof(bytes)))) > 0)
		MUST_EQ(got, write(target, bytes, got));
	close(source);
	close(target);
}

SUBJECT(unlinked_image)
{
	int fd = new_orphan("a", "orphan");
	int image = MUST(open("image", O_RDWR | O_CREAT | O_EXCL, 0600));
	int log = MUST(open("log", O_WRONLY | O_CREAT | O_EXCL, 0600));
	char path[256];
	long result;

	MUST(link("image", "kept"));
	MUST(unlink("image"));
	MUST(unlink("log"));
	result = sys_checkpoint(0, image, CHECKPOINT_SUBTREE, log);
	subject_report(result ? "checkpoint 1 %ld" : "restarted 1", result);
	if (result > 0) {
		subject_path(path, sizeof(path), subject_self.folder, "image", 1);
		copy_to("kept", path);
	}
	if (result)
		return;
	MUST_FAIL(-EBADF, fcntl(image, F_GETFD));
	MUST_FAIL(-EBADF, fcntl(log, F_GETFD));
	must_be_orphan(fd, "orphan");
}

TEST_F(calls, image_and_log_are_unlinked_themselves)
{
	struct relinked relinked;

	self->stage.remains = "kept lost+found";
	ASSERT_CHECKPOINT(&self->stage, "unlinked_image");
	relinked = ASSERT_RELINKED(1);
	ASSERT_HOLDS(relinked.path[0], "orphan");
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A task that runs cannot be checkpointed by another: its files could lose
 * their names while they are given new ones.
 *
 * 1. a child opens a, unlinks it and waits.
 * 2. Checkpoint of the child: EBUSY. No name.
 */
static void wait_with_an_orphan(int ready)
{
	int fd = open("a", O_RDWR | O_CREAT | O_EXCL, 0600);

	if (fd < 0 || unlink("a") || write(ready, "", 1) != 1)
		_exit(1);
	pause();
	_exit(0);
}

TEST_F(calls, another_task_that_is_not_frozen)
{
	cleanup_close int image = ASSERT_OK(open("/tmp", O_RDWR | O_TMPFILE, 0600));
	int ready[2];
	pid_t child;
	char byte;

	ASSERT_OK(pipe(ready));
	child = ASSERT_OK(fork());
	if (!child)
		wait_with_an_orphan(ready[1]);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	ASSERT_ERRNO_EQ(-EBUSY, sys_checkpoint(child, image, CHECKPOINT_SUBTREE, CHECKPOINT_FD_NONE));
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_OK(kill(child, SIGKILL));
	stage_wait_for(_metadata, child);
}

/*
 * An image that was written by a kernel that knew more. A kernel without
 * relinking must not take the flag for nothing and leave the name behind; one
 * with it must not take the flag without the inode that belongs to it.
 *
 * 1. open a, which keeps its name. Checkpoint; set the flag of relinked files
 *    in the image.
 * 2. Restart: EINVAL, before the series and after it. a is there.
 * 3. Take the flag back: restart.
 */
#if __has_include(<linux/checkpoint.h>)
static const size_t FLAGS_AT = offsetof(struct ckpt_hdr_file, f_restart_flags);
static const uint32_t FILE_RECORD = CKPT_HDR_FILE;
#else
static const size_t FLAGS_AT, FILE_RECORD;
#endif

SUBJECT(linked)
{
	int fd = new_file("a", "linked");

	come_back();
	MUST_HOLD("linked", fd);
	MUST_EQ(1, subject_stat(fd).st_nlink);
}

/* Sets the flags of every file in the image. */
static void set_file_flags(struct __test_metadata *_metadata, const struct stage *stage, uint32_t flags)
{
	struct { uint32_t type, length; } head;
	cleanup_close int image = -1;
	char path[256];
	off_t at = 0;
	int files = 0;

	subject_path(path, sizeof(path), stage->folder, "image", 1);
	image = ASSERT_OK(open(path, O_RDWR));
	while (pread(image, &head, sizeof(head), at) == sizeof(head) && head.length) {
		if (head.type == FILE_RECORD) {
			ASSERT_EQ((ssize_t)sizeof(flags), pwrite(image, &flags, sizeof(flags), at + FLAGS_AT));
			files++;
		}
		at += head.length;
	}
	ASSERT_GT(files, 0);
}

TEST_F(calls, flag_without_what_belongs_to_it)
{
	self->stage.remains = "a lost+found";
	ASSERT_CHECKPOINT(&self->stage, "linked");
	set_file_flags(_metadata, &self->stage, 1);
	ASSERT_RESTART_ERRNO(-EINVAL, &self->stage);
	ASSERT_HOLDS("a", "linked");
	/* No kernel knows this one. */
	set_file_flags(_metadata, &self->stage, 1U << 31);
	ASSERT_RESTART_ERRNO(-EINVAL, &self->stage);
	ASSERT_HOLDS("a", "linked");
	set_file_flags(_metadata, &self->stage, 0);
	ASSERT_RESTART(&self->stage);
	ASSERT_HOLDS("a", "linked");
}

/*
 * A task tells by the result which it is: the one that was checkpointed, or the
 * one that came back.
 *
 * 1. open a, unlink a. Checkpoint: a positive number in the original. Restart:
 *    0 where the call returns again.
 */
SUBJECT(which)
{
	int fd = new_orphan("a", "which");
	enum role role = event();

	tell(role == ORIGINAL ? "original" : role == RESTARTED ? "restarted" : "refused", 1);
	MUST_EQ(role == ORIGINAL ? 1 : 0, subject_stat(fd).st_nlink);
}

TEST_F(calls, result_tells_original_from_restarted)
{
	ASSERT_CHECKPOINT(&self->stage, "which");
	ASSERT_EQ(1, (int)SUBJECT_TOLD(&self->stage, "original"));
	ASSERT_RESTART(&self->stage);
	ASSERT_EQ(1, (int)SUBJECT_TOLD(&self->stage, "restarted"));
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

SUBJECT_HARNESS_MAIN
