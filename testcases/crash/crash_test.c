// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint and restart where the power goes, and where the disk is copied.
 *
 * A checkpoint takes an inode off the filesystem's list of orphans and gives it
 * a name; a restart removes the name and puts the inode back. Both are one
 * transaction each. So whatever the moment the power goes, the disk that is
 * mounted next has
 *
 *	either	a name that leads to the inode, with link count 1,
 *	or	neither: the inode is free again.
 *
 * Both would be an inode that is deleted while a name leads to it; neither, and
 * not free, one that no one ever finds again. The first the filesystem's
 * checker sees, which runs after each case, and the number of inodes in use
 * sees both.
 *
 * Images are written to /tmp, which no disk holds. carry_out() puts a stage on
 * the filesystem under test, carry_in() takes it from there in another guest.
 */
#define _GNU_SOURCE
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>

#include "phase.h"
#include "relink.h"
#include "room.h"

#define CARRIED	"carried"
#define SPARE	"/tmp/spare"

FIXTURE(crash)
{
	struct stage stage;
	bool outside;
};

/* Phase 1 begins on a fresh filesystem, the later ones on what is left of it. */
FIXTURE_SETUP(crash)
{
	self->outside = !phase_number();
	if (phase_number() == 1)
		stage_set_up(_metadata, &self->stage);
}

FIXTURE_TEARDOWN(crash)
{
}

#define PHASE() ({							\
	if (self->outside)						\
		SKIP(return, "nobody here to end a phase of it");	\
	phase_number();							\
})

/* A file without a name whose text is on the disk. */
static int new_orphan(const char *path, const char *text)
{
	int fd = MUST(open(path, O_RDWR | O_CREAT | O_EXCL, 0600));

	MUST_WRITE(fd, text);
	MUST(fsync(fd));
	MUST(unlink(path));
	return fd;
}

SUBJECT(orphan)
{
	int fd = new_orphan("a", "orphan");

	sync();
	come_back();
	MUST_EQ(0, subject_stat(fd).st_nlink);
	MUST_HOLD("orphan", fd);
}

SUBJECT(alias)
{
	int fd = MUST(open("a", O_RDWR | O_CREAT | O_EXCL, 0600));

	MUST_WRITE(fd, "foo");
	MUST(link("a", "b"));
	MUST(unlink("a"));
	sync();
	come_back();
	MUST_WRITE(fd, "bar");
	MUST(fsync(fd));
}

/* Goes on for ever, with the name gone from the disk. */
SUBJECT(holder)
{
	int fd = new_orphan("a", "orphan");

	sync();
	come_back();
	MUST_EQ(0, subject_stat(fd).st_nlink);
	sync();
	tell("holds", 1);
	for (;;)
		pause();
}

/* As above, but its checkpoint was refused. */
SUBJECT(refused)
{
	new_orphan("a", "");
	sync();
	event();
	sync();
	tell("holds", 1);
	for (;;)
		pause();
}

/*
 * Inodes in use, and what was in use before. XFS frees inodes in the background
 * and says so after a sync; btrfs does not count them (-1), its checker does.
 */
static long long inodes_in_use(struct __test_metadata *_metadata)
{
	struct statvfs found;

	sync();
	ASSERT_OK(statvfs(".", &found));
	return found.f_files ? (long long)found.f_files - (long long)found.f_ffree : -1;
}

/* XFS may still be freeing what was unlinked before; a freeze waits for it. */
static void remember_inodes(struct __test_metadata *_metadata)
{
	int fd = ASSERT_OK(open("inodes", O_WRONLY | O_CREAT | O_EXCL, 0600));

	ASSERT_OK(ioctl(fd, FIFREEZE, 0));
	ASSERT_OK(ioctl(fd, FITHAW, 0));
	ASSERT_LT(0, dprintf(fd, "%lld", inodes_in_use(_metadata)));
	close(fd);
	sync();
}

/* So many more than remembered are in use. */
static void assert_inodes(struct __test_metadata *_metadata, int more)
{
	long long before, now;
	char text[32] = "";
	int fd;

	fd = ASSERT_OK(open("inodes", O_RDONLY));
	ASSERT_OK(read(fd, text, sizeof(text) - 1));
	close(fd);
	before = atoll(text);
	for (int tries = 0; tries < 50; tries++) {
		now = inodes_in_use(_metadata);
		if (now == before + more || now < 0)
			return;
		usleep(20000);
	}
	FAIL("%lld inodes are in use, expected %lld: %d more than before", now, before + more, more);
}

/* At most one name, of an inode with that text and no other name; and all inodes accounted for. */
static int assert_gone_or_named(struct __test_metadata *_metadata, const char *text)
{
	struct relinked relinked = ASSERT_RELINKED_BETWEEN(0, 1);
	bool there = !access("a", F_OK);

	if (relinked.count) {
		ASSERT_EQ(1, stat_of(_metadata, relinked.path[0]).st_nlink);
		ASSERT_HOLDS(relinked.path[0], text);
	}
	/* Cut off before it was unlinked: "a" is the name. */
	ASSERT_LE(relinked.count + there, 1);
	assert_inodes(_metadata, relinked.count + there);
	return relinked.count;
}

static void copy_file(struct __test_metadata *_metadata, const char *from, const char *to)
{
	int source = ASSERT_OK(open(from, O_RDONLY));
	int target = ASSERT_OK(open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600));
	struct stat size;

	ASSERT_OK(fstat(source, &size));
	while (sendfile(target, source, NULL, 1 << 20) > 0)
		;
	ASSERT_EQ(size.st_size, lseek(target, 0, SEEK_END));
	ASSERT_OK(fsync(target));
	close(source);
	close(target);
}

static void copy_files(struct __test_metadata *_metadata, const char *from, const char *to)
{
	struct names names = names_in(_metadata, from);
	char source[512], target[512];

	for (int i = 0; i < names.count; i++) {
		snprintf(source, sizeof(source), "%s/%s", from, names.name[i]);
		snprintf(target, sizeof(target), "%s/%s", to, names.name[i]);
		copy_file(_metadata, source, target);
	}
}

/* The stage's folder to the disk: its image names it by its path, so that is kept too. */
static void carry_out(struct __test_metadata *_metadata, struct stage *stage)
{
	ASSERT_OK(mkdir(CARRIED, 0700));
	copy_files(_metadata, stage->folder, CARRIED);
	ASSERT_OK(symlink(stage->folder, CARRIED ".path"));
	sync();
}

static void carry_in(struct __test_metadata *_metadata, struct stage *stage, const char *subject)
{
	struct stat report;
	char path[512];

	memset(stage, 0, sizeof(*stage));
	ASSERT_OK(readlink(CARRIED ".path", stage->folder, sizeof(stage->folder) - 1));
	if (mkdir(stage->folder, 0700))
		ASSERT_EQ(EEXIST, errno);
	copy_files(_metadata, CARRIED, stage->folder);
	snprintf(path, sizeof(path), "%s/report", stage->folder);
	ASSERT_OK(stat(path, &report));
	stage->subject = subject;
	stage->report_seen = report.st_size;
	stage->checkpoints = 1;
}

/* Whether it said that it holds the file; what it asked for must have come out as wanted. */
static bool holder_holds(struct __test_metadata *_metadata, const struct stage *stage, long wanted)
{
	cleanup_fclose FILE *report = stage_open_report(stage);
	char line[1024];
	bool holds = false;
	long result;

	while (report && fgets(line, sizeof(line), report)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "failed ", 7))
			FAIL("%s", line + 7);
		if ((sscanf(line, "checkpoint %*d %ld", &result) == 1 || sscanf(line, "restart %ld", &result) == 1) &&
		    (result < 0 ? result : 0) != wanted)
			FAIL("%s: %s, expected %s", line, errno_text(result).text, errno_text(wanted).text);
		holds |= !strncmp(line, "told holds", 10);
	}
	return holds;
}

/* Waits until the subject holds the file; it lives on. */
static void wait_holder(struct __test_metadata *_metadata, struct stage *stage, pid_t child, long wanted)
{
	int status;

	while (!holder_holds(_metadata, stage, wanted)) {
		if (waitpid(child, &status, WNOHANG))
			FAIL("the subject ended, status %#x", status);
		usleep(5000);
	}
}

/*
 * 1. The number of inodes, on disk. Mark.
 * 2. A file, its text on disk, without a name; sync. Checkpoint; the original
 *    ends, so that the name is all that keeps the inode. Mark. sync. Mark.
 * 3. At each cut: gone or named, the text complete where there is a name. When
 *    checkpoint had returned and was synced: named.
 */
TEST_F(crash, relink_is_atomic)
{
	if (PHASE() == 1) {
		remember_inodes(_metadata);
		mark("begin");
		ASSERT_CHECKPOINT(&self->stage, "orphan");
		ASSERT_RELINKED(1);
		mark("returned");
		sync();
		mark("synced");
		return;
	}
	if (!assert_gone_or_named(_metadata, "orphan"))
		ASSERT_FALSE(phase_passed("synced"));
}

/*
 * As above, but the file has another name, "b". That name is never in doubt; the
 * link count is 1 or 2, as there are names.
 */
TEST_F(crash, relink_of_alias_is_atomic)
{
	struct relinked relinked;

	if (PHASE() == 1) {
		remember_inodes(_metadata);
		mark("begin");
		ASSERT_CHECKPOINT(&self->stage, "alias");
		ASSERT_RELINKED(1);
		mark("returned");
		sync();
		mark("synced");
		return;
	}
	relinked = ASSERT_RELINKED_BETWEEN(0, 1);
	if (phase_passed("synced"))
		ASSERT_EQ(1, relinked.count);
	if (relinked.count) {
		ASSERT_INODE(stat_of(_metadata, "b").st_ino, 2, relinked.path[0]);
		ASSERT_HOLDS("b", "foo");
	} else if (!access("b", F_OK) && access("a", F_OK)) {
		ASSERT_EQ(1, stat_of(_metadata, "b").st_nlink);
	}
}

/*
 * 1. Checkpoint as above; sync. Mark.
 * 2. Restart: the name goes, the task comes back with the inode, and ends: the
 *    inode goes. Mark. sync. Mark.
 * 3. At each cut: named or gone. When the restart was synced: gone.
 */
TEST_F(crash, unlink_at_restart_is_atomic)
{
	if (PHASE() == 1) {
		remember_inodes(_metadata);
		ASSERT_CHECKPOINT(&self->stage, "orphan");
		ASSERT_RELINKED(1);
		sync();
		mark("begin");
		ASSERT_RESTART(&self->stage);
		ASSERT_NAMES(CHECKPOINT_DIR, "");
		mark("returned");
		sync();
		mark("synced");
		return;
	}
	if (assert_gone_or_named(_metadata, "orphan"))
		ASSERT_FALSE(phase_passed("synced"));
}

/* Nobody synced: the name may be there or not. */
TEST_F(crash, power_cut_at_once)
{
	if (PHASE() == 1) {
		remember_inodes(_metadata);
		ASSERT_CHECKPOINT(&self->stage, "orphan");
		phase_ends("power cut");
	}
	assert_gone_or_named(_metadata, "orphan");
}

/* Image and name come through it; nothing else of the guest does. */
TEST_F(crash, restart_after_power_cut)
{
	if (PHASE() == 1) {
		ASSERT_CHECKPOINT(&self->stage, "orphan");
		carry_out(_metadata, &self->stage);
		phase_ends("power cut");
	}
	ASSERT_RELINKED(1);
	carry_in(_metadata, &self->stage, "orphan");
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

TEST_F(crash, restart_after_reboot)
{
	if (PHASE() == 1) {
		ASSERT_CHECKPOINT(&self->stage, "orphan");
		carry_out(_metadata, &self->stage);
		phase_ends("reboot");
	}
	ASSERT_RELINKED(1);
	carry_in(_metadata, &self->stage, "orphan");
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

TEST_F(crash, restart_after_remount)
{
	if (PHASE() == 1) {
		ASSERT_CHECKPOINT(&self->stage, "orphan");
		carry_out(_metadata, &self->stage);
		phase_ends("remount");
	}
	ASSERT_RELINKED(1);
	carry_in(_metadata, &self->stage, "orphan");
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. Checkpoint, restart; the task lives, its file has no name any more, and
 *    that is on disk. Power cut.
 * 2. No name; the inode is free: it was on the list of orphans again.
 */
TEST_F(crash, power_cut_while_held)
{
	pid_t child;

	if (PHASE() == 1) {
		remember_inodes(_metadata);
		ASSERT_CHECKPOINT(&self->stage, "holder");
		child = stage_spawn_restart(_metadata, &self->stage, 1);
		wait_holder(_metadata, &self->stage, child, 0);
		phase_ends("power cut");
	}
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	assert_inodes(_metadata, 0);
}

/* No block is left, whoever asks. */
static void fill_disk(struct __test_metadata *_metadata)
{
	static char zeros[1 << 16];
	int fd = ASSERT_OK(open("filler", O_WRONLY | O_CREAT | O_APPEND, 0600));

	/* Quickly, where the filesystem can; what is left by hand. */
	for (off_t size = 1 << 22; size >= 1 << 16; size /= 2)
		while (!fallocate(fd, 0, lseek(fd, 0, SEEK_END), size))
			;
	for (size_t size = sizeof(zeros); size >= 512; size /= 2)
		while (write(fd, zeros, size) > 0)
			;
	ASSERT_OK(fsync(fd));
	ASSERT_EQ(-1, write(fd, zeros, sizeof(zeros)));
	ASSERT_EQ(ENOSPC, errno);
	close(fd);
}

/*
 * The name would need a new block of the directory, and there is none. Had the
 * inode left the list of orphans before that was known, nothing would free it.
 *
 * 1. Fill the first block of the directory, then the disk.
 * 2. Checkpoint: ENOSPC. The task lives and holds the file; sync. Power cut.
 * 3. No name; the inode is free.
 */
TEST_F_TIMEOUT(crash, refused_name_keeps_the_orphan, 120)
{
	char *argv[] = { "subject", "--subject", "refused", "0", self->stage.folder, NULL };
	struct statvfs disk;
	pid_t child;

	if (PHASE() == 1) {
		make_file(_metadata, "filler", "");
		remember_inodes(_metadata);
		ASSERT_OK(statvfs(".", &disk));
		fill_directory(_metadata, "filler", CHECKPOINT_DIR, disk.f_bsize);
		fill_disk(_metadata);
		child = stage_spawn(_metadata, argv, NULL);
		wait_holder(_metadata, &self->stage, child, -ENOSPC);
		phase_ends("power cut");
	}
	assert_inodes(_metadata, 0);
}

/*
 * The filesystem gives up, as it does on an error of its disk: no link can be
 * made, and what was an orphan has to stay one.
 *
 * 1. Checkpoint and restart of a task, as long as that works. Another holds a
 *    file without a name; everything is on the disk. The filesystem is shut
 *    down. Checkpoint: EIO. Power cut.
 * 2. No name; the inode is free.
 */
SUBJECT(shut_down)
{
	int fd = new_orphan("a", "orphan");
	int root = MUST(open(".", O_RDONLY));
	__u32 flush_first = 0;
	struct stat found;

	sync();
	MUST(ioctl(root, _IOR('X', 125, __u32), &flush_first));
	close(root);
	event();
	/* XFS says nothing more of an inode either. */
	if (!fstat(fd, &found))
		MUST_EQ(0, found.st_nlink);
	tell("holds", 1);
	for (;;)
		pause();
}

TEST_F(crash, shut_down_keeps_the_orphan)
{
	char *argv[] = { "subject", "--subject", "shut_down", "0", self->stage.folder, NULL };
	pid_t child;

	if (PHASE() == 1) {
		ASSERT_CHECKPOINT(&self->stage, "orphan");
		ASSERT_RESTART(&self->stage);
		stage_renew(_metadata, &self->stage);
		remember_inodes(_metadata);
		child = stage_spawn(_metadata, argv, NULL);
		wait_holder(_metadata, &self->stage, child, -EIO);
		phase_ends("power cut");
	}
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	assert_inodes(_metadata, 0);
}

/*
 * The whole disk, while nothing can be written to it. Past the page cache: what
 * it has of a journal is not always what was written (fast commits).
 */
static void copy_blocks(struct __test_metadata *_metadata)
{
	static char blocks[1 << 20] __attribute__((aligned(4096)));
	int root = ASSERT_OK(open(".", O_RDONLY));
	int from, to;
	ssize_t got;

	sync();
	ASSERT_OK(ioctl(root, FIFREEZE, 0));
	from = open(getenv("LAB_DEVICE"), O_RDONLY | O_DIRECT);
	to = open(phase_spare(), O_WRONLY);
	while ((got = read(from, blocks, sizeof(blocks))) > 0 && write(to, blocks, got) == got)
		;
	ASSERT_OK(ioctl(root, FITHAW, 0));
	ASSERT_EQ(0, got);
	ASSERT_OK(fsync(to));
	close(from);
	close(to);
	close(root);
}

/* A copy of all files, by somebody who knows nothing of checkpoints. */
static void copy_tree(struct __test_metadata *_metadata, const char *command)
{
	ASSERT_OK(mkdir(SPARE, 0700));
	ASSERT_OK(mount(phase_spare(), SPARE, getenv("LAB_FS"), 0, NULL));
	ASSERT_EQ(0, system(command));
	ASSERT_OK(umount(SPARE));
}

/*
 * 1. Checkpoint of a task that holds a file whose other name is "b". Copy.
 *    Another guest, on the copy.
 * 2. Restart. What the task writes is in b, since on the copy the two are one
 *    inode as they were.
 */
TEST_F(crash, migrate_blocks)
{
	if (PHASE() == 1) {
		ASSERT_CHECKPOINT(&self->stage, "alias");
		carry_out(_metadata, &self->stage);
		copy_blocks(_metadata);
		phase_ends("copy");
	}
	carry_in(_metadata, &self->stage, "alias");
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_HOLDS("b", "foobar");
}

TEST_F(crash, migrate_files_with_links)
{
	if (PHASE() == 1) {
		ASSERT_CHECKPOINT(&self->stage, "alias");
		carry_out(_metadata, &self->stage);
		copy_tree(_metadata, "rsync -aHAX ./ " SPARE);
		phase_ends("copy");
	}
	carry_in(_metadata, &self->stage, "alias");
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_HOLDS("b", "foobar");
}

/* On this copy the name and "b" are two files: the backup did it, the restart cannot know. */
TEST_F(crash, migrate_files_without_links)
{
	if (PHASE() == 1) {
		ASSERT_CHECKPOINT(&self->stage, "alias");
		carry_out(_metadata, &self->stage);
		copy_tree(_metadata, "rsync -a ./ " SPARE);
		phase_ends("copy");
	}
	carry_in(_metadata, &self->stage, "alias");
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_HOLDS("b", "foo");
}

/*
 * 1. Checkpoint, sync, snapshot. Then the original's file is written to, as it
 *    would go on doing.
 * 2. The restart from the snapshot has what was there at the checkpoint.
 */
TEST_F(crash, restart_from_snapshot)
{
	struct relinked relinked;
	int fd;

	if (PHASE() == 1) {
		ASSERT_CHECKPOINT(&self->stage, "orphan");
		carry_out(_metadata, &self->stage);
		phase_ends("snapshot");
		relinked = ASSERT_RELINKED(1);
		fd = ASSERT_OK(open(relinked.path[0], O_WRONLY | O_TRUNC));
		ASSERT_EQ(5, write(fd, "later", 5));
		ASSERT_OK(fsync(fd));
		return;
	}
	carry_in(_metadata, &self->stage, "orphan");
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

SUBJECT_HARNESS_MAIN
