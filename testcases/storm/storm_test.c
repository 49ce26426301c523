// SPDX-License-Identifier: GPL-2.0
/*
 * Links, unlinks and checkpoints on several processors at once.
 *
 * Without relinking every checkpoint here is refused with EBADF.
 */
#define _GNU_SOURCE
#include "orphan.h"
#include "relink.h"

FIXTURE(storm)
{
	struct stage stage;
};

FIXTURE_SETUP(storm)
{
	stage_set_up(_metadata, &self->stage);
	ASSERT_LT(1, sysconf(_SC_NPROCESSORS_ONLN));
}

FIXTURE_TEARDOWN(storm)
{
	stage_tear_down(_metadata, &self->stage);
}

/*
 * What made ext3 link an inode that it was about to free was a link that raced
 * with an unlink. Here names of the same few files come and go in many hands
 * while others are checkpointed.
 *
 * 1. so many tasks, each again and again: open a file, link it, unlink both
 *    names, checkpoint, close it. Others link, rename and unlink without pause.
 * 2. As many names as checkpoints, each of one link; remove them. The
 *    filesystem is unmounted and checked afterwards, as after each case.
 */
enum { STORMS = 3, ROUNDS = 6, NOISES = 2 };

SUBJECT(stormy)
{
	char one[32], two[32];

	snprintf(one, sizeof(one), "%d-one", getpid());
	snprintf(two, sizeof(two), "%d-two", getpid());
	for (int round = 0; round < ROUNDS; round++) {
		int fd = new_file(one, "storm");

		MUST(link(one, two));
		MUST(unlink(one));
		MUST(unlink(two));
		if (event() != ORIGINAL)
			return;
		MUST_EQ(1, subject_stat(fd).st_nlink);
		close(fd);
	}
}

static void make_noise(int number)
{
	char one[32], two[32], three[32];

	snprintf(one, sizeof(one), "noise-%d-1", number);
	snprintf(two, sizeof(two), "noise-%d-2", number);
	snprintf(three, sizeof(three), CHECKPOINT_DIR "/noise-%d", number);
	for (;;) {
		int fd = open(one, O_RDWR | O_CREAT | O_EXCL, 0600);

		if (fd < 0 || link(one, two) || unlink(one) || link(two, three) || rename(two, one) ||
		    unlink(three) || unlink(one))
			_exit(1);
		close(fd);
	}
}

static void end_noise(struct __test_metadata *_metadata, pid_t noise)
{
	int status;

	ASSERT_OK(kill(noise, SIGKILL));
	status = stage_wait_for(_metadata, noise);
	ASSERT_TRUE(WIFSIGNALED(status));
}

static void run_storm(struct __test_metadata *_metadata, struct stage *stage)
{
	ASSERT_CHECKPOINT(stage, "stormy");
	_exit(0);
}

/* The names of checkpoints go; how many there were. What the noise was killed at goes too. */
static int sweep(struct __test_metadata *_metadata, const char *folder)
{
	cleanup_closedir DIR *dir = opendir(folder);
	struct dirent *entry;
	int relinked = 0;

	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir))) {
		relinked += !strncmp(entry->d_name, "unlink-at-restart-", 18);
		if (!strncmp(entry->d_name, "unlink-at-restart-", 18) || !strncmp(entry->d_name, "noise-", 6))
			ASSERT_OK(unlinkat(dirfd(dir), entry->d_name, 0));
	}
	return relinked;
}

TEST_F_TIMEOUT(storm, links_and_checkpoints, 100)
{
	struct stage stages[STORMS];
	pid_t storms[STORMS], noises[NOISES];

	stage_divide(_metadata, &self->stage, stages, STORMS);
	for (int i = 0; i < NOISES; i++) {
		noises[i] = ASSERT_OK(fork());
		if (!noises[i])
			make_noise(i);
	}
	for (int i = 0; i < STORMS; i++) {
		storms[i] = ASSERT_OK(fork());
		if (!storms[i])
			run_storm(_metadata, &stages[i]);
	}
	for (int i = 0; i < STORMS; i++)
		ASSERT_EQ(0, stage_wait_for(_metadata, storms[i]));
	for (int i = 0; i < NOISES; i++)
		end_noise(_metadata, noises[i]);
	ASSERT_EQ(STORMS * ROUNDS, sweep(_metadata, CHECKPOINT_DIR));
	sweep(_metadata, ".");
	for (int i = 0; i < STORMS; i++)
		remove_tree(_metadata, stages[i].folder);
}

SUBJECT_HARNESS_MAIN
