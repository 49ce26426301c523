// SPDX-License-Identifier: GPL-2.0
/*
 * Unlinked files that are mapped, and the program that a task runs.
 *
 * A mapping holds an open file of its own: it outlives the descriptor, and
 * needs the file at restart for the pages that were not private yet. All of
 * them are found by the same name as the descriptor's, so that what was one
 * file is one file again.
 *
 * Without relinking every checkpoint here is refused with EBADF.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "orphan.h"
#include "relink.h"

FIXTURE(mapped)
{
	struct stage stage;
};

FIXTURE_SETUP(mapped)
{
	stage_set_up(_metadata, &self->stage);
}

FIXTURE_TEARDOWN(mapped)
{
	stage_tear_down(_metadata, &self->stage);
}

enum { PAGE = 4096 };

static char *map(int fd, int protection, int flags)
{
	char *memory = mmap(NULL, 2 * PAGE, protection, flags, fd, 0);

	if (memory == MAP_FAILED)
		SUBJECT_FAIL("mmap: %s", errno_text(-errno).text);
	return memory;
}

/* A file of two pages that begin with these words. */
static int new_pages(const char *path, const char *first, const char *second)
{
	int fd = new_file(path, first);

	MUST_EQ((long long)strlen(second), pwrite(fd, second, strlen(second), PAGE));
	MUST(ftruncate(fd, 2 * PAGE));
	return fd;
}

/*
 * 1. map a file shared and for reading only, close it, unlink it: nothing but
 *    the mapping holds it.
 * 2. Checkpoint: one name. Restart: the pages are read.
 */
SUBJECT(read_only)
{
	int fd = new_pages("a", "first", "second");
	int reader = MUST(open("a", O_RDONLY));
	char *memory = map(reader, PROT_READ, MAP_SHARED);

	close(fd);
	close(reader);
	MUST(unlink("a"));
	come_back();
	MUST_EQ(0, strcmp(memory, "first"));
	MUST_EQ(0, strcmp(memory + PAGE, "second"));
	MUST_FAIL(-EACCES, mprotect(memory, PAGE, PROT_READ | PROT_WRITE));
}

TEST_F(mapped, shared_for_reading)
{
	ASSERT_CHECKPOINT(&self->stage, "read_only");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A private mapping has pages of its own and pages of the file. The former are
 * in the image, the latter are not.
 *
 * 1. map a file private, write to its first page, close it, unlink it.
 * 2. Checkpoint: one name, whose contents do not have what was written.
 * 3. Restart. The first page is the task's, the second the file's.
 */
SUBJECT(own_page)
{
	int fd = new_pages("a", "first", "second");
	char *memory = map(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	close(fd);
	MUST(unlink("a"));
	strcpy(memory, "mine");
	come_back();
	MUST_EQ(0, strcmp(memory, "mine"));
	MUST_EQ(0, strcmp(memory + PAGE, "second"));
	strcpy(memory + PAGE, "mine too");
}

TEST_F(mapped, private_with_a_page_written)
{
	struct relinked relinked;

	ASSERT_CHECKPOINT(&self->stage, "own_page");
	relinked = ASSERT_RELINKED(1);
	ASSERT_HOLDS(relinked.path[0], "first");
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. link a b; map a and map b, both shared; close and unlink both.
 * 2. Checkpoint: all names are of one inode. Restart.
 * 3. What is written to one mapping is read from the other.
 */
SUBJECT(two_links)
{
	int a = new_pages("a", "first", "second");
	char *one, *two;
	int b;

	MUST(link("a", "b"));
	b = MUST(open("b", O_RDWR));
	one = map(a, PROT_READ | PROT_WRITE, MAP_SHARED);
	two = map(b, PROT_READ | PROT_WRITE, MAP_SHARED);
	tell("inode", subject_stat(a).st_ino);
	close(a);
	close(b);
	MUST(unlink("a"));
	MUST(unlink("b"));
	come_back();
	strcpy(one, "through");
	MUST_EQ(0, strcmp(two, "through"));
}

TEST_F(mapped, two_links_of_one_inode)
{
	struct relinked relinked;

	ASSERT_CHECKPOINT(&self->stage, "two_links");
	relinked = ASSERT_RELINKED_BETWEEN(1, 2);
	for (int i = 0; i < relinked.count; i++)
		ASSERT_INODE(SUBJECT_TOLD(&self->stage, "inode"), relinked.count, relinked.path[i]);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. map a file shared and keep the descriptor, unlink it.
 * 2. Checkpoint: one name for both. Restart.
 * 3. What is written to memory is read through the descriptor, and the reverse.
 */
SUBJECT(with_descriptor)
{
	int fd = new_pages("a", "first", "second");
	char *memory = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);

	MUST(unlink("a"));
	come_back();
	strcpy(memory, "memory");
	MUST_HOLD("memory", fd);
	MUST_EQ(11, pwrite(fd, "descriptor", 11, PAGE));
	MUST_EQ(0, strcmp(memory + PAGE, "descriptor"));
	MUST_EQ(0, subject_stat(fd).st_nlink);
}

TEST_F(mapped, mapped_and_open)
{
	ASSERT_CHECKPOINT(&self->stage, "with_descriptor");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A private page can only be put back into a mapping that has a page of the
 * file below it.
 *
 * 1. map a file of two pages private, write to the second, unlink it.
 * 2. Checkpoint; then the file is cut by its new name to less than a page.
 * 3. Restart: EINVAL, not a task that is killed half made; the name is kept.
 */
SUBJECT(cut)
{
	int fd = new_pages("a", "first", "second");
	char *memory = map(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	close(fd);
	MUST(unlink("a"));
	strcpy(memory + PAGE, "mine");
	come_back();
	MUST_EQ(0, strcmp(memory + PAGE, "mine"));
}

TEST_F(mapped, file_cut_before_the_restart)
{
	struct relinked relinked;

	ASSERT_CHECKPOINT(&self->stage, "cut");
	relinked = ASSERT_RELINKED(1);
	ASSERT_OK(truncate(relinked.path[0], 1));
	ASSERT_RESTART_ERRNO(-EINVAL, &self->stage);
	ASSERT_RELINKED(1);
	ASSERT_OK(unlink(relinked.path[0]));
}

/*
 * The program's own file. It is mapped, and it is what /proc/self/exe names.
 *
 * 1. the subject copies its program to a, executes a, unlinks it.
 * 2. Checkpoint: one name for exe and mappings. Restart: the program runs on,
 *    and its file has no name.
 */
static void copy_program(const char *path)
{
	int from = MUST(open("/proc/self/exe", O_RDONLY)), to = MUST(open(path, O_WRONLY | O_CREAT | O_EXCL, 0700));
	static char bytes[1 << 16];
	ssize_t got;

	while ((got = MUST(read(from, bytes, sizeof(bytes)))) > 0)
		MUST_EQ(got, write(to, bytes, got));
	close(from);
	close(to);
}

SUBJECT(program)
{
	struct stat before, now;

	if (access("a", F_OK)) {
		copy_program("a");
		begin_anew("a", "program");
	}
	MUST(unlink("a"));
	MUST(stat("/proc/self/exe", &before));
	MUST_EQ(0, before.st_nlink);
	tell("inode", before.st_ino);
	come_back();
	MUST(stat("/proc/self/exe", &now));
	MUST_EQ(before.st_ino, now.st_ino);
	MUST_EQ(0, now.st_nlink);
}

TEST_F(mapped, program_that_was_removed)
{
	struct relinked relinked;

	ASSERT_CHECKPOINT(&self->stage, "program");
	relinked = ASSERT_RELINKED(1);
	ASSERT_INODE(SUBJECT_TOLD(&self->stage, "inode"), 1, relinked.path[0]);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

SUBJECT_HARNESS_MAIN
