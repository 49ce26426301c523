// SPDX-License-Identifier: GPL-2.0
/*
 * What calls cost: the calls that a series of checkpoint/restart comes near to,
 * for those who never checkpoint, and the checkpoint itself.
 *
 * Each call is made many times in a directory that is in memory; the middle
 * round is reported, so that neither the first (cold caches) nor one with a
 * timer interrupt in it counts.
 */
#define _GNU_SOURCE
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>

#include "cost.h"
#include "relink.h"

#define ROUNDS		201
#define CHECKPOINTS	5
#define FILE_MODE	0600

/* One round of a measured call is number i; what it needs is made before, what it left is taken away after. */
#define MEASURE(what, before, call, after) do {					\
	static lab_ticks __rounds[ROUNDS];					\
										\
	for (int i = 0; i < ROUNDS; i++) {					\
		lab_ticks __start;						\
										\
		before;								\
		__start = lab_clock();						\
		call;								\
		__rounds[i] = lab_clock() - __start;				\
		after;								\
	}									\
	lab_cost(what, lab_median(__rounds, ROUNDS));				\
} while (0)

static int new_file(struct __test_metadata *_metadata, const char *path)
{
	return ASSERT_OK(open(path, O_RDWR | O_CREAT | O_EXCL, FILE_MODE));
}

static void new_name(struct __test_metadata *_metadata, const char *path)
{
	ASSERT_OK(close(new_file(_metadata, path)));
}

/* open("a"), close: the path that every program takes. */
TEST(open_file)
{
	int fd = -1;

	new_name(_metadata, "a");
	MEASURE("open", (void)0, fd = open("a", O_RDWR), ASSERT_OK(close(fd)));
	MEASURE("close", fd = ASSERT_OK(open("a", O_RDWR)), close(fd), (void)0);
	ASSERT_OK(unlink("a"));
}

TEST(create_file)
{
	int fd = -1;

	MEASURE("create", (void)0, fd = open("a", O_RDWR | O_CREAT | O_EXCL, FILE_MODE),
		(ASSERT_OK(close(fd)), ASSERT_OK(unlink("a"))));
}

TEST(link_file)
{
	int result = -1;

	new_name(_metadata, "a");
	MEASURE("link", (void)0, result = link("a", "b"), (ASSERT_OK(result), ASSERT_OK(unlink("b"))));
	ASSERT_OK(unlink("a"));
}

TEST(rename_file)
{
	int result = -1;

	new_name(_metadata, "a");
	MEASURE("rename", (void)0, result = rename("a", "b"), (ASSERT_OK(result), ASSERT_OK(rename("b", "a"))));
	ASSERT_OK(unlink("a"));
}

TEST(unlink_file)
{
	int result = -1;

	MEASURE("unlink", new_name(_metadata, "a"), result = unlink("a"), ASSERT_OK(result));
}

TEST(close_unlinked)
{
	int fd = -1, result = -1;

	MEASURE("close_unlinked", (fd = new_file(_metadata, "a"), ASSERT_OK(unlink("a"))), result = close(fd),
		ASSERT_OK(result));
}

/* LAB_SIZE: a number and K, M or G. */
static long long asked_size(void)
{
	const char *text = getenv("LAB_SIZE");
	char unit[2] = "";
	long long size = 64;

	if (!text)
		return size << 10;
	if (sscanf(text, "%lld%1s", &size, unit) < 1 || size < 0)
		return -1;
	return size << (*unit == 'K' ? 10 : *unit == 'M' ? 20 : *unit == 'G' ? 30 : 0);
}

/* Whether that much can be written without filling the filesystem or the guest's memory. */
static bool fits(long long size)
{
	struct statvfs room;
	struct sysinfo memory;

	if (statvfs(".", &room) || sysinfo(&memory))
		return false;
	return size <= (long long)(room.f_bavail * room.f_frsize) / 2 &&
	       size <= (long long)(memory.totalram * memory.mem_unit) / 6;
}

static void write_all(int fd, long long size)
{
	char block[4096];

	memset(block, 'x', sizeof(block));
	while (size > 0) {
		size_t length = size < (long long)sizeof(block) ? size : (long long)sizeof(block);

		MUST_EQ((long long)length, write(fd, block, length));
		size -= length;
	}
}

/* What an image would cost that holds the contents instead of a name. */
static lab_ticks copy_contents(int fd, long long size)
{
	cleanup_close int copy = MUST(subject_open(subject_self.folder, "copy", 0, O_RDWR | O_CREAT | O_EXCL));
	lab_ticks start = lab_clock();
	off_t from = 0;

	while (from < size)
		MUST(sendfile(copy, fd, &from, size - from));
	start = lab_clock() - start;
	MUST(ftruncate(copy, 0));
	return start;
}

/*
 * A checkpoint of a task that holds one unlinked file. Nothing else of the task
 * depends on the file's size.
 *
 * 1. Write a file of LAB_SIZE bytes (sparse when there is no room), unlink it.
 * 2. Checkpoint several times: each makes a name and an image of its own.
 * 3. Tell the middle cost, the size of the image, and for comparison the cost of
 *    copying what the file holds.
 */
SUBJECT(orphan)
{
	long long size = asked_size();
	bool written = fits(size);
	lab_ticks rounds[CHECKPOINTS];
	int fd = MUST(open("a", O_RDWR | O_CREAT | O_EXCL, FILE_MODE));
	struct stat image;

	MUST(size);
	MUST(ftruncate(fd, size));
	if (written)
		write_all(fd, size);
	MUST(unlink("a"));
	for (int i = 0; i < CHECKPOINTS; i++) {
		int to = MUST(subject_open(subject_self.folder, "measured", i + 1, O_RDWR | O_CREAT | O_EXCL));

		rounds[i] = lab_clock();
		MUST(sys_checkpoint(0, to, CHECKPOINT_SUBTREE, CHECKPOINT_FD_NONE));
		rounds[i] = lab_clock() - rounds[i];
		image = subject_stat(to);
		MUST(close(to));
	}
	tell("checkpoint", lab_median(rounds, CHECKPOINTS));
	tell("image", image.st_size);
	tell("file", size);
	tell("copied", written ? (long long)copy_contents(fd, size) : -1);
	come_back();
}

FIXTURE(cost)
{
	struct stage stage;
};

FIXTURE_SETUP(cost)
{
	stage_set_up(_metadata, &self->stage);
}

FIXTURE_TEARDOWN(cost)
{
	stage_tear_down(_metadata, &self->stage);
}

TEST_F(cost, checkpoint_of_orphan)
{
	struct relinked relinked;
	long long copied;

	ASSERT_CHECKPOINT(&self->stage, "orphan");
	lab_cost("checkpoint", SUBJECT_TOLD(&self->stage, "checkpoint"));
	lab_cost("image_bytes", SUBJECT_TOLD(&self->stage, "image"));
	lab_cost("file_bytes", SUBJECT_TOLD(&self->stage, "file"));
	copied = SUBJECT_TOLD(&self->stage, "copied");
	if (copied >= 0)
		lab_cost("copy_of_contents", copied);

	/* The names of the images that were only measured; each is the same inode. */
	relinked = ASSERT_RELINKED(CHECKPOINTS + 1);
	for (int i = 0; i < relinked.count; i++)
		ASSERT_OK(unlink(relinked.path[i]));
}

SUBJECT_HARNESS_MAIN
