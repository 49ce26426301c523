// SPDX-License-Identifier: GPL-2.0
/*
 * More than one checkpoint of a task, more than one restart of an image, more
 * than one task at a time.
 *
 * Each checkpoint makes names of its own, so that each of its images can be
 * restarted whatever becomes of the others. A restart spends the names of its
 * image, and only when it has succeeded. Names that no image needs any more are
 * ordinary files for whoever cleans up.
 *
 * Without relinking every checkpoint here is refused with EBADF.
 */
#define _GNU_SOURCE
#include <sys/fanotify.h>
#include <sys/inotify.h>

#include "orphan.h"
#include "relink.h"

FIXTURE(repeat)
{
	struct stage stage;
};

FIXTURE_SETUP(repeat)
{
	stage_set_up(_metadata, &self->stage);
}

FIXTURE_TEARDOWN(repeat)
{
	stage_tear_down(_metadata, &self->stage);
}

/*
 * A task that is checkpointed every now and then and goes on.
 *
 * 1. open a, unlink a. Three times: write a word, checkpoint.
 * 2. Three names, three links, one inode: the images are independent.
 * 3. Restart the second: its name goes, the others stay. Restart the first and
 *    the third. What is read is what the file holds at that time: the image has
 *    the offset, not the contents.
 */
enum { TIMES = 3 };

SUBJECT(periodic)
{
	int fd = new_orphan("a", "");
	ino_t inode = subject_stat(fd).st_ino;
	enum role role = ORIGINAL;
	int round;

	tell("inode", inode);
	for (round = 1; round <= TIMES && role == ORIGINAL; round++) {
		MUST_WRITE(fd, "word");
		role = event();
	}
	if (role != RESTARTED)
		return;
	MUST_EQ(inode, subject_stat(fd).st_ino);
	MUST_EQ(4 * (round - 1), lseek(fd, 0, SEEK_CUR));
	MUST_HOLD("wordwordword", fd);
	tell("links", subject_stat(fd).st_nlink);
}

TEST_F(repeat, any_of_three_checkpoints_restarts)
{
	static const int order[TIMES] = { 2, 1, 3 };
	struct relinked relinked;

	ASSERT_CHECKPOINT(&self->stage, "periodic");
	ASSERT_EQ(TIMES, self->stage.checkpoints);
	relinked = ASSERT_RELINKED(TIMES);
	for (int i = 0; i < TIMES; i++)
		ASSERT_INODE(SUBJECT_TOLD(&self->stage, "inode"), TIMES, relinked.path[i]);
	for (int i = 0; i < TIMES; i++) {
		ASSERT_RESTART_OF(&self->stage, order[i]);
		ASSERT_EQ(TIMES - 1 - i, (int)SUBJECT_TOLD(&self->stage, "links"));
		ASSERT_RELINKED(TIMES - 1 - i);
	}
}

/*
 * Who goes on after a checkpoint is not affected by the name: not the link
 * count it may rely on less than the file itself.
 *
 * 1. open a, unlink a; checkpoint; the original writes, cuts, writes.
 * 2. The name shows what was written after the checkpoint, since it is the same
 *    inode. Who needs the state of the checkpoint copies the filesystem then.
 * 3. Restart: as the file is now.
 */
SUBJECT(goes_on)
{
	int fd = new_orphan("a", "before");
	enum role role = event();

	if (role == ORIGINAL) {
		MUST_EQ(1, subject_stat(fd).st_nlink);
		MUST(ftruncate(fd, 0));
		MUST_EQ(5, pwrite(fd, "after", 5, 0));
		MUST_HOLD("after", fd);
	}
	if (role == RESTARTED) {
		MUST_EQ(6, lseek(fd, 0, SEEK_CUR));
		must_be_orphan(fd, "after");
	}
}

TEST_F(repeat, original_goes_on_and_writes)
{
	struct relinked relinked;

	ASSERT_CHECKPOINT(&self->stage, "goes_on");
	relinked = ASSERT_RELINKED(1);
	ASSERT_HOLDS(relinked.path[0], "after");
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * Nobody restarts. The name keeps the file, as long as it takes somebody to
 * remove it; then all is as it was.
 *
 * 1. note how much is free; open a file of 1 MiB, unlink it; checkpoint; the
 *    task ends.
 * 2. The space is used, by a file of one link that can be found.
 * 3. unlink the name: no less is free than before, but for what the directory
 *    may have grown by.
 */
enum { SIZE = 1 << 20, SLACK = 128 * 1024 };

SUBJECT(large)
{
	static char bytes[SIZE];
	int fd = new_orphan("a", "");

	memset(bytes, 'b', sizeof(bytes));
	MUST_EQ(SIZE, write(fd, bytes, sizeof(bytes)));
	MUST(fsync(fd));
	come_back();
}

TEST_F(repeat, nobody_restarts_and_somebody_cleans_up)
{
	struct relinked relinked;
	struct stat found;

	ASSERT_CHECKPOINT(&self->stage, "large");
	relinked = ASSERT_RELINKED(1);
	found = stat_of(_metadata, relinked.path[0]);
	ASSERT_EQ(1, (int)found.st_nlink);
	ASSERT_EQ(SIZE, (int)found.st_size);
	ASSERT_GE((long long)found.st_blocks * 512 + SLACK, SIZE);
	ASSERT_OK(unlink(relinked.path[0]));
	ASSERT_RESTART_ERRNO(-ENOENT, &self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A restart spends the names of its image.
 *
 * 1. open a, unlink a. Checkpoint, restart.
 * 2. Restart again: ENOENT. Nothing else was made or removed.
 */
SUBJECT(plain)
{
	int fd = new_orphan("a", "plain");

	come_back();
	must_be_orphan(fd, "plain");
}

TEST_F(repeat, second_restart_finds_no_name)
{
	ASSERT_CHECKPOINT(&self->stage, "plain");
	ASSERT_RESTART(&self->stage);
	ASSERT_RESTART_ERRNO(-ENOENT, &self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A restart that fails, wherever, spends nothing.
 *
 * 1. open three files, unlink the first two; open a directory and remove it.
 *    Checkpoint: three names.
 * 2. The third file has gone: ENOENT, when the first two were opened already.
 *    All names are there.
 * 3. The third file is back: restart.
 */
SUBJECT(needs_third)
{
	int first = new_orphan("a", "first");
	int second = new_orphan("b", "second");
	int directory = new_removed_directory("d");
	int third = new_file("c", "third");

	come_back();
	must_be_orphan(first, "first");
	must_be_orphan(second, "second");
	MUST_EQ(1, S_ISDIR(subject_stat(directory).st_mode));
	MUST_HOLD("third", third);
}

TEST_F(repeat, failed_restart_spends_no_name)
{
	self->stage.remains = "c lost+found";
	ASSERT_CHECKPOINT(&self->stage, "needs_third");
	ASSERT_RELINKED(3);
	ASSERT_OK(rename("c", "aside"));
	ASSERT_RESTART_ERRNO(-ENOENT, &self->stage);
	ASSERT_RELINKED(3);
	ASSERT_RESTART_ERRNO(-ENOENT, &self->stage);
	ASSERT_RELINKED(3);
	ASSERT_OK(rename("aside", "c"));
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A task that was restarted is a task like any other.
 *
 * 1. open a, unlink a. Checkpoint, restart; checkpoint what came back, restart.
 * 2. The same inode; no name is left.
 */
SUBJECT(again)
{
	int fd = new_orphan("a", "again");
	ino_t inode = subject_stat(fd).st_ino;

	come_back();
	must_be_orphan(fd, "again");
	MUST_WRITE(fd, "st");
	come_back();
	MUST_EQ(inode, subject_stat(fd).st_ino);
	must_be_orphan(fd, "against");
}

TEST_F(repeat, checkpoint_of_what_was_restarted)
{
	ASSERT_CHECKPOINT(&self->stage, "again");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_EQ(2, self->stage.checkpoints);
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * Many tasks at once, each with the same program and the same number of files:
 * their names must not clash, nor take each other away.
 *
 * 1. so many tasks start together; each opens three files, unlinks them and is
 *    checkpointed.
 * 2. Three names for each. Restart all, one after the other: no name is left.
 */
enum { TASKS = 8, EACH = 3 };

SUBJECT(one_of_many)
{
	char name[32], text[32];
	int fds[EACH];

	for (int i = 0; i < EACH; i++) {
		snprintf(name, sizeof(name), "%d-%d", getpid(), i);
		snprintf(text, sizeof(text), "%s of its own", name);
		fds[i] = new_orphan(name, text);
	}
	come_back();
	snprintf(text, sizeof(text), "%.*s2 of its own", (int)strlen(name) - 1, name);
	must_be_orphan(fds[EACH - 1], text);
}

static void run_one(struct __test_metadata *_metadata, struct stage *stage)
{
	ASSERT_CHECKPOINT(stage, "one_of_many");
	_exit(0);
}

TEST_F(repeat, eight_tasks_at_once)
{
	struct stage stages[TASKS];
	pid_t children[TASKS];

	stage_divide(_metadata, &self->stage, stages, TASKS);
	for (int i = 0; i < TASKS; i++) {
		children[i] = ASSERT_OK(fork());
		if (!children[i])
			run_one(_metadata, &stages[i]);
	}
	for (int i = 0; i < TASKS; i++)
		ASSERT_EQ(0, stage_wait_for(_metadata, children[i]));
	ASSERT_RELINKED(TASKS * EACH);
	for (int i = 0; i < TASKS; i++) {
		stages[i].checkpoints = 1;
		stages[i].subject = "one_of_many";
		ASSERT_RESTART_OF(&stages[i], 1);
		ASSERT_RELINKED((TASKS - 1 - i) * EACH);
		remove_tree(_metadata, stages[i].folder);
	}
}

/*
 * Who watches the filesystem sees a name come and go, and nothing else.
 *
 * 1. watch the directory for names, and the root.
 * 2. Checkpoint: one name is created; restart: the same name is deleted.
 */
struct seen {
	int created, deleted, others;
	char name[256];
};

static struct seen read_watch(struct __test_metadata *_metadata, int watch)
{
	char bytes[4096] __attribute__((aligned(8)));
	struct seen seen = { 0 };
	ssize_t got = read(watch, bytes, sizeof(bytes));

	if (got < 0 && errno != EAGAIN)
		FAIL("read of the watch: %s", errno_text(-errno).text);
	for (ssize_t at = 0; at < got;) {
		const struct inotify_event *entry = (const void *)(bytes + at);

		seen.created += !!(entry->mask & IN_CREATE);
		seen.deleted += !!(entry->mask & IN_DELETE);
		seen.others += !(entry->mask & (IN_CREATE | IN_DELETE));
		if (entry->len)
			snprintf(seen.name, sizeof(seen.name), "%s", entry->name);
		at += sizeof(*entry) + entry->len;
	}
	return seen;
}

TEST_F(repeat, watchers_see_a_name_come_and_go)
{
	int watch = ASSERT_OK(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
	struct relinked relinked;
	struct seen seen;

	ASSERT_OK(inotify_add_watch(watch, CHECKPOINT_DIR, IN_CREATE | IN_DELETE | IN_MOVE | IN_ATTRIB));
	ASSERT_CHECKPOINT(&self->stage, "plain");
	relinked = ASSERT_RELINKED(1);
	seen = read_watch(_metadata, watch);
	ASSERT_EQ(1, seen.created);
	ASSERT_EQ(0, seen.deleted);
	ASSERT_STREQ(strrchr(relinked.path[0], '/') + 1, seen.name);
	ASSERT_RESTART(&self->stage);
	seen = read_watch(_metadata, watch);
	ASSERT_EQ(0, seen.created);
	ASSERT_EQ(1, seen.deleted);
	ASSERT_STREQ(strrchr(relinked.path[0], '/') + 1, seen.name);
}

/*
 * The same for who is told of the directory by fanotify, with the names.
 */
static struct seen read_group(struct __test_metadata *_metadata, int group)
{
	char bytes[4096] __attribute__((aligned(8)));
	const struct fanotify_event_metadata *entry = (const void *)bytes;
	struct seen seen = { 0 };
	ssize_t got = read(group, bytes, sizeof(bytes));

	if (got < 0 && errno != EAGAIN)
		FAIL("read of the group: %s", errno_text(-errno).text);
	for (; got > 0 && FAN_EVENT_OK(entry, got); entry = FAN_EVENT_NEXT(entry, got)) {
		const struct fanotify_event_info_fid *info = (const void *)(entry + 1);
		const struct file_handle *handle = (const void *)info->handle;

		ASSERT_EQ(FAN_EVENT_INFO_TYPE_DFID_NAME, info->hdr.info_type);
		seen.created += !!(entry->mask & FAN_CREATE);
		seen.deleted += !!(entry->mask & FAN_DELETE);
		seen.others += !(entry->mask & (FAN_CREATE | FAN_DELETE));
		snprintf(seen.name, sizeof(seen.name), "%s", (const char *)handle->f_handle + handle->handle_bytes);
	}
	return seen;
}

TEST_F(repeat, fanotify_tells_of_a_name)
{
	int group = ASSERT_OK(fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_DFID_NAME | FAN_CLOEXEC | FAN_NONBLOCK, 0));
	struct relinked relinked;
	struct seen seen;

	ASSERT_OK(fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_ONLYDIR, FAN_CREATE | FAN_DELETE | FAN_MOVE,
				AT_FDCWD, CHECKPOINT_DIR));
	ASSERT_CHECKPOINT(&self->stage, "plain");
	relinked = ASSERT_RELINKED(1);
	seen = read_group(_metadata, group);
	ASSERT_EQ(1, seen.created);
	ASSERT_EQ(0, seen.deleted + seen.others);
	ASSERT_STREQ(strrchr(relinked.path[0], '/') + 1, seen.name);
	ASSERT_RESTART(&self->stage);
	seen = read_group(_metadata, group);
	ASSERT_EQ(1, seen.deleted);
	ASSERT_EQ(0, seen.created + seen.others);
	ASSERT_STREQ(strrchr(relinked.path[0], '/') + 1, seen.name);
}

SUBJECT_HARNESS_MAIN
