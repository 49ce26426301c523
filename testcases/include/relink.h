/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the cases of relinking share: the stage on a fresh filesystem, and the
 * names a checkpoint makes under lost+found/checkpoint.
 *
 * The working directory is the root of the filesystem under test. Images, logs
 * and reports are under /tmp, on another filesystem.
 */
#ifndef LAB_RELINK_H
#define LAB_RELINK_H

#include <ftw.h>
#include <regex.h>
#include <sys/stat.h>

#include "names.h"
#include "subject.h"

/* unlink-at-restart-<time of the checkpoint>-<counter>, and what O_TMPFILE made says so */
#define RELINK_PATTERN "^unlink-at-restart-[0-9a-f]{8,16}-[0-9]+(-linkable)?$"

/* The paths of the names under CHECKPOINT_DIR, sorted. */
struct relinked {
	int count;
	char path[32][320];
};

static inline struct stat stat_of(struct __test_metadata *_metadata, const char *path)
{
	struct stat found;

	if (lstat(path, &found))
		FAIL("lstat(%s): %s, expected success", path, errno_text(-errno).text);
	return found;
}

static inline void stage_set_up(struct __test_metadata *_metadata, struct stage *stage)
{
	struct stat here, above, work;

	here = stat_of(_metadata, ".");
	above = stat_of(_metadata, "..");
	if (here.st_dev == above.st_dev)
		FAIL("the working directory must be the root of a mounted filesystem, below another");
	strcpy(stage->folder, "/tmp/stage.XXXXXX");
	if (!mkdtemp(stage->folder))
		FAIL("mkdtemp: %s, expected success", errno_text(-errno).text);
	work = stat_of(_metadata, stage->folder);
	if (work.st_dev == here.st_dev)
		FAIL("/tmp is on the filesystem under test: the image would be too");
	stage->event = EVENT_SELF;
	stage->remains = "lost+found";
	/* mke2fs makes lost+found, the other mkfs do not. */
	if (mkdir("lost+found", 0700) && errno != EEXIST)
		FAIL("mkdir(lost+found): %s, expected success", errno_text(-errno).text);
	ASSERT_OK(mkdir(CHECKPOINT_DIR, 0700));
}

/* Lets other users read and write what is in the stage's folder, as a task needs to that is not root's. */
static inline void stage_open_folder(struct __test_metadata *_metadata, struct stage *stage)
{
	struct names names = names_in(_metadata, stage->folder);
	char path[512];

	ASSERT_OK(chmod(stage->folder, 0777));
	for (int i = 0; i < names.count; i++) {
		snprintf(path, sizeof(path), "%s/%s", stage->folder, names.name[i]);
		ASSERT_OK(chmod(path, 0666));
	}
}

/* Removes what names_in() the folder finds; used where nothing but files can be. */
static inline void remove_files(struct __test_metadata *_metadata, const char *folder)
{
	struct names names = names_in(_metadata, folder);
	char path[512];

	for (int i = 0; i < names.count; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names.name[i]);
		ASSERT_OK(unlink(path));
	}
	ASSERT_OK(rmdir(folder));
}

static inline int remove_entry(const char *path, const struct stat *, int, struct FTW *)
{
	return remove(path);
}

/* A directory with all that is below it, on its own filesystem. */
static inline void remove_tree(struct __test_metadata *_metadata, const char *path)
{
	ASSERT_OK(nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT));
}

/*
 * A test that passed leaves nothing: no name under CHECKPOINT_DIR, and in the
 * root only what it says remains. What a failed test leaves is evidence, and
 * stays.
 */
static inline void stage_tear_down(struct __test_metadata *_metadata, struct stage *stage)
{
	struct names names;

	if (_metadata->exit_code != KSFT_PASS)
		return;
	if (!access(CHECKPOINT_DIR, F_OK)) {
		ASSERT_NAMES(CHECKPOINT_DIR, "");
		ASSERT_OK(rmdir(CHECKPOINT_DIR));
	}
	ASSERT_NAMES(".", stage->remains);
	names = names_in(_metadata, ".");
	for (int i = 0; i < names.count; i++)
		if (strcmp(names.name[i], "lost+found"))
			ASSERT_OK(remove(names.name[i]));
	remove_files(_metadata, stage->folder);
}

/* Forgets subject, images and logs, for a further subject in the same test. */
static inline void stage_renew(struct __test_metadata *_metadata, struct stage *stage)
{
	remove_files(_metadata, stage->folder);
	ASSERT_OK(mkdir(stage->folder, 0700));
	stage->report_seen = 0;
	stage->checkpoints = 0;
	stage->tried = 0;
}

/* Stages for so many subjects at once, each in a folder of its own below the stage's. */
static inline void stage_divide(struct __test_metadata *_metadata, const struct stage *stage, struct stage *stages,
				int count)
{
	for (int i = 0; i < count; i++) {
		stages[i] = *stage;
		ASSERT_GT((int)sizeof(stages[i].folder),
			  snprintf(stages[i].folder, sizeof(stages[i].folder), "%s/%d", stage->folder, i));
		ASSERT_OK(mkdir(stages[i].folder, 0700));
	}
}

/* The names the checkpoint made, each of the right form. */
static inline struct relinked relinked_names(struct __test_metadata *_metadata, const char *file, int line, int least,
					     int most)
{
	struct names names = names_in(_metadata, CHECKPOINT_DIR);
	struct relinked relinked = { .count = names.count };
	static char text[sizeof(names.name)];
	regex_t pattern;

	names_join(&names, text, sizeof(text));
	if (names.count < least || names.count > most)
		fail_at(_metadata, file, line, "%s holds %d names ('%s'), expected %d to %d", CHECKPOINT_DIR,
			names.count, text, least, most);
	ASSERT_EQ(0, regcomp(&pattern, RELINK_PATTERN, REG_EXTENDED | REG_NOSUB));
	for (int i = 0; i < names.count; i++) {
		if (regexec(&pattern, names.name[i], 0, NULL, 0))
			fail_at(_metadata, file, line, "'%s' is not of the form %s", names.name[i], RELINK_PATTERN);
		snprintf(relinked.path[i], sizeof(relinked.path[i]), "%s/%s", CHECKPOINT_DIR, names.name[i]);
	}
	regfree(&pattern);
	return relinked;
}

/* Exactly that many names, sorted. */
#define ASSERT_RELINKED(count) relinked_names(_metadata, __FILE__, __LINE__, count, count)

/* One inode held through several open files may be given one name or a name each. */
#define ASSERT_RELINKED_BETWEEN(least, most) relinked_names(_metadata, __FILE__, __LINE__, least, most)

/* The file at a path holds exactly this text. */
static inline void assert_holds(struct __test_metadata *_metadata, const char *file, int line, const char *path,
				const char *wanted)
{
	cleanup_close int fd = open(path, O_RDONLY | O_NOFOLLOW);
	char seen[256] = "";

	if (fd < 0 || read(fd, seen, sizeof(seen) - 1) < 0)
		fail_at(_metadata, file, line, "reading %s: %s, expected success", path, errno_text(-errno).text);
	if (strcmp(seen, wanted))
		fail_at(_metadata, file, line, "%s holds '%s', expected '%s'", path, seen, wanted);
}

#define ASSERT_HOLDS(path, wanted) assert_holds(_metadata, __FILE__, __LINE__, path, wanted)

static inline void assert_inode(struct __test_metadata *_metadata, const char *file, int line, const char *path,
				unsigned long long inode, unsigned long links)
{
	struct stat found;

	if (lstat(path, &found))
		fail_at(_metadata, file, line, "lstat(%s): %s, expected success", path, errno_text(-errno).text);
	if (found.st_ino != inode)
		fail_at(_metadata, file, line, "%s is inode %llu, expected %llu", path,
			(unsigned long long)found.st_ino, inode);
	if (found.st_nlink != links)
		fail_at(_metadata, file, line, "%s has %lu links, expected %lu", path, (unsigned long)found.st_nlink,
			links);
}

/* The name at a path is one of that inode's, which has so many. */
#define ASSERT_INODE(inode, links, path) assert_inode(_metadata, __FILE__, __LINE__, path, inode, links)

/* A new file with this text, made by the test itself. */
static inline void make_file(struct __test_metadata *_metadata, const char *path, const char *text)
{
	cleanup_close int fd = ASSERT_OK(open(path, O_WRONLY | O_CREAT | O_EXCL, 0600));

	ASSERT_EQ((ssize_t)strlen(text), write(fd, text, strlen(text)));
}

#endif /* LAB_RELINK_H */
