// SPDX-License-Identifier: GPL-2.0
/*
 * Restart of images that somebody changed.
 *
 * An image comes from a file, and a file from anybody. Whatever it says, the
 * kernel
 *
 *	- returns an error where it cannot be an image at all,
 *	- otherwise makes the caller what the image says, as far as the caller
 *	  could have done so itself,
 *	- and never complains, hangs, leaves a task, or touches a file that the
 *	  image has no right to. Names that a checkpoint made are still there
 *	  when a restart failed.
 *
 * 1. A task with a file without a name (two descriptors, one mapping), a file
 *    with a name, a pipe, a FIFO and an event counter is checkpointed.
 * 2. Its image is changed, by a number (mutant.h), and restarted by root and by
 *    nobody, who here may read and write all that root may.
 * 3. After each restart: files, names, links and contents are what they were;
 *    the kernel is not tainted; no task is left. A name that a restart was right
 *    to remove is made again for the next.
 *
 * LAB_MUTANTS is how many each user is given, over all cases (300 unless it is
 * set); LAB_MUTANT=<number>, or <first>-<last>, are those mutants alone. Cuts and lengths are tried
 * for each record, however few were asked for.
 */
#define _GNU_SOURCE
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "relink.h"

#include "mutant.h"

#define CASES		7
#define PATIENCE_MS	4000
#define CAME_BACK	77
#define NOBODY		65534
#define ROOM		(8 << 20)

#define KEEPER		"keeper"	/* another name of the relinked file, in no image */
#define FORGED		CHECKPOINT_DIR "/unlink-at-restart-1-1"
#define FORGED_LINK	CHECKPOINT_DIR "/unlink-at-restart-00000002-1"

/* What no image may touch. */
static const char *const victims[] = { "victim", CHECKPOINT_DIR "/precious", FORGED, "named" };

#define VICTIMS (int)(sizeof(victims) / sizeof(victims[0]))

struct answer {
	volatile int returned;
	volatile long result;
};

struct looks {
	struct stat victim[VICTIMS];
	char root[4096], checkpoint[4096];
	char tainted[32];
};

FIXTURE(image)
{
	struct stage stage;
	struct image image;
	struct mutant mutant;
	struct looks before;
	char relinked[320];
	struct answer *answer;
	char path[256];
	int refused, came_back, whole;
};

FIXTURE_SETUP(image)
{
	int quiet;

	stage_set_up(_metadata, &self->stage);
	self->image.data = malloc(ROOM);
	self->mutant.data = malloc(ROOM);
	self->answer = mmap(NULL, sizeof(*self->answer), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	snprintf(self->path, sizeof(self->path), "%s/mutant", self->stage.folder);
	ASSERT_OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
	/* What a changed program does to itself is no news. */
	quiet = ASSERT_OK(open("/proc/sys/debug/exception-trace", O_WRONLY));
	ASSERT_EQ(1, write(quiet, "0", 1));
	close(quiet);
}

FIXTURE_TEARDOWN(image)
{
}

/* What has contents that are in no file, and records for them. */
static void hold_contents(void)
{
	int ends[2], fifo;

	MUST(pipe2(ends, O_DIRECT));
	MUST_WRITE(ends[1], "one packet");
	MUST_WRITE(ends[1], "another");
	MUST(mkfifo("fifo", 0666));
	fifo = MUST(open("fifo", O_RDWR | O_NONBLOCK));
	MUST(open("fifo", O_RDONLY));
	MUST_WRITE(fifo, "of the FIFO");
	MUST(eventfd(3, EFD_SEMAPHORE));
}

SUBJECT(target)
{
	int fd = MUST(open("orphan", O_RDWR | O_CREAT | O_EXCL, 0666));

	MUST_WRITE(fd, "orphan");
	MUST(link("orphan", KEEPER));
	MUST(open("orphan", O_RDONLY));
	MUST(open("named", O_RDWR | O_APPEND));
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED)
		SUBJECT_FAIL("mmap: %s", errno_text(-errno).text);
	MUST(unlink("orphan"));
	hold_contents();
	come_back();
	_exit(CAME_BACK);
}

static void read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);

	text[got < 0 ? 0 : got] = '\0';
	if (fd >= 0)
		close(fd);
}

static void list_names(struct __test_metadata *_metadata, const char *path, char *text, size_t size)
{
	struct names names = names_in(_metadata, path);

	names_join(&names, text, size);
}

static void look(struct __test_metadata *_metadata, struct looks *looks)
{
	for (int i = 0; i < VICTIMS; i++)
		looks->victim[i] = stat_of(_metadata, victims[i]);
	list_names(_metadata, ".", looks->root, sizeof(looks->root));
	list_names(_metadata, CHECKPOINT_DIR, looks->checkpoint, sizeof(looks->checkpoint));
	read_text("/proc/sys/kernel/tainted", looks->tainted, sizeof(looks->tainted));
}

static void read_image(struct __test_metadata *_metadata, struct stage *stage, struct image *image)
{
	char path[256];
	int fd;

	subject_path(path, sizeof(path), stage->folder, "image", 1);
	fd = ASSERT_OK(open(path, O_RDONLY));
	image->size = ASSERT_OK(read(fd, image->data, ROOM / 2));
	close(fd);
	if (!image_walk(image))
		FAIL("the image is no sequence of records");
	TH_LOG("the image: %zu bytes, %d records", image->size, image->count);
}

/* The name that the checkpoint made: the one of its directory that is the keeper's inode. */
static void find_relinked(struct __test_metadata *_metadata, FIXTURE_DATA(image) *self)
{
	struct names names = names_in(_metadata, CHECKPOINT_DIR);
	ino_t inode = stat_of(_metadata, KEEPER).st_ino;

	for (int i = 0; i < names.count; i++) {
		snprintf(self->relinked, sizeof(self->relinked), "%s/%s", CHECKPOINT_DIR, names.name[i]);
		if (stat_of(_metadata, self->relinked).st_ino == inode)
			return;
	}
	FAIL("no name was made in %s", CHECKPOINT_DIR);
}

/* The image, and a world around it that everybody may use and nobody may lose. */
static void prepare(struct __test_metadata *_metadata, FIXTURE_DATA(image) *self)
{
	umask(0);
	for (int i = 0; i < VICTIMS; i++) {
		make_file(_metadata, victims[i], "not yours");
		ASSERT_OK(chmod(victims[i], 0666));
	}
	ASSERT_OK(symlink("../../victim", FORGED_LINK));
	ASSERT_OK(chmod("lost+found", 0777));
	ASSERT_OK(chmod(CHECKPOINT_DIR, 0777));
	ASSERT_OK(chmod(".", 0777));
	ASSERT_CHECKPOINT(&self->stage, "target");
	stage_open_folder(_metadata, &self->stage);
	find_relinked(_metadata, self);
	read_image(_metadata, &self->stage, &self->image);
	look(_metadata, &self->before);
}

/*
 * What an image has made of its caller runs anything, as whoever it is: that is
 * what restart is for. Names that it made itself say nothing about the restart.
 */
static void remove_new(struct __test_metadata *_metadata, const char *folder, const char *before)
{
	struct names names = names_in(_metadata, folder);
	char path[512];

	for (int i = 0; i < names.count; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names.name[i]);
		if (!strstr(before, names.name[i]) && unlink(path))
			rmdir(path);
	}
}

/* A restart that came back was right to remove the name: made again, it is the same inode's. */
static void renew(struct __test_metadata *_metadata, FIXTURE_DATA(image) *self)
{
	if (access(self->relinked, F_OK))
		ASSERT_OK(link(KEEPER, self->relinked));
	ASSERT_OK(truncate(KEEPER, 0));
	/* The one file that the task may write to has its text again. */
	cleanup_close int fd = ASSERT_OK(open(KEEPER, O_WRONLY));

	ASSERT_EQ(6, write(fd, "orphan", 6));
}

/* Nobody with the one capability that every restart takes: without it no image is looked at beyond its head. */
static void become_nobody(bool may_restart)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { 0 };

	caps[1].effective = caps[1].permitted = may_restart ? 1U << (CAP_CHECKPOINT_RESTORE - 32) : 0;
	if (prctl(PR_SET_KEEPCAPS, 1) || setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY) || syscall(SYS_capset, &head, caps))
		_exit(EXIT_FAILURE);
}

static void restart_mutant(FIXTURE_DATA(image) *self, bool nobody)
{
	int image, log;

	setpgid(0, 0);
	if (subject_use_log(self->stage.folder))
		_exit(EXIT_FAILURE);
	image = open(self->path, O_RDONLY);
	log = subject_open(self->stage.folder, "kernel-restart", 1, O_WRONLY | O_CREAT | O_TRUNC);
	if (nobody)
		become_nobody(true);
	self->answer->result = sys_restart(0, image, RESTART_TASKSELF, log);
	self->answer->returned = true;
	_exit(EXIT_SUCCESS);
}

/* Waits for a child; one that does not end is ended. False when even that does not help. */
static bool reap(pid_t child, int *status, bool *in_time)
{
	cleanup_close int fd = syscall(SYS_pidfd_open, child, 0);
	struct pollfd ended = { .fd = fd, .events = POLLIN };

	*in_time = poll(&ended, 1, PATIENCE_MS) == 1;
	if (!*in_time) {
		kill(child, SIGKILL);
		if (poll(&ended, 1, PATIENCE_MS) != 1)
			return false;
	}
	return waitpid(child, status, 0) == child;
}

#define MUTANT_FAIL(format, ...)									\
	FAIL("mutant %llu, as %s: " format " (%s). Alone: --env LAB_MUTANT=%llu",			\
	     (unsigned long long)number, nobody ? "nobody" : "root", ##__VA_ARGS__, self->mutant.told,	\
	     (unsigned long long)number)

/* Everything is what it was before. */
static void check_world(struct __test_metadata *_metadata, FIXTURE_DATA(image) *self, uint64_t number, bool nobody)
{
	static struct looks now;
	char text[64];

	look(_metadata, &now);
	if (strcmp(now.tainted, self->before.tainted))
		MUTANT_FAIL("the kernel is tainted: %.20s", now.tainted);
	if (strcmp(now.root, self->before.root))
		MUTANT_FAIL("the root holds '%s', not '%s'", now.root, self->before.root);
	if (strcmp(now.checkpoint, self->before.checkpoint))
		MUTANT_FAIL("%s holds '%s', not '%s'", CHECKPOINT_DIR, now.checkpoint, self->before.checkpoint);
	for (int i = 0; i < VICTIMS; i++) {
		struct stat *old = &self->before.victim[i], *new = &now.victim[i];

		read_text(victims[i], text, sizeof(text));
		if (old->st_ino != new->st_ino || old->st_nlink != new->st_nlink || old->st_mode != new->st_mode ||
		    strcmp(text, "not yours"))
			MUTANT_FAIL("%s is not what it was: '%s'", victims[i], text);
	}
}

static void try_mutant(struct __test_metadata *_metadata, FIXTURE_DATA(image) *self, uint64_t number, bool nobody,
		       bool must_refuse)
{
	bool in_time;
	pid_t child;
	int status;

	memset(self->answer, 0, sizeof(*self->answer));
	child = ASSERT_OK(fork());
	if (!child)
		restart_mutant(self, nobody);
	if (!reap(child, &status, &in_time))
		MUTANT_FAIL("the task survives SIGKILL");
	if (waitpid(-1, NULL, WNOHANG) >= 0)
		MUTANT_FAIL("a task is left");
	if (self->answer->returned) {
		self->refused++;
		if (self->answer->result >= 0)
			MUTANT_FAIL("restart returned %ld", self->answer->result);
		if (access(self->relinked, F_OK))
			MUTANT_FAIL("restart failed, and yet the name is gone");
	} else {
		self->came_back++;
		self->whole += WIFEXITED(status) && WEXITSTATUS(status) == CAME_BACK;
		remove_new(_metadata, ".", self->before.root);
		if (must_refuse)
			MUTANT_FAIL("%s", in_time ? "accepted, expected an error" : "neither accepted nor refused");
	}
	renew(_metadata, self);
	check_world(_metadata, self, number, nobody);
}

static void write_mutant(struct __test_metadata *_metadata, FIXTURE_DATA(image) *self)
{
	cleanup_close int fd = ASSERT_OK(open(self->path, O_WRONLY | O_CREAT | O_TRUNC, 0666));

	ASSERT_EQ((ssize_t)self->mutant.size, write(fd, self->mutant.data, self->mutant.size));
}

typedef void (*mutate_t)(struct mutant *mutant, const struct image *image, uint64_t number);

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

/* All mutants of one kind, or the one that was asked for; @least where each record has its turn. */
static void try_all(struct __test_metadata *_metadata, FIXTURE_DATA(image) *self, mutate_t mutate, uint64_t least,
		    bool must_refuse)
{
	uint64_t first = 0, last = (number_from("LAB_MUTANTS", 300) + CASES - 1) / CASES;
	const char *only = getenv("LAB_MUTANT");

	last = last < least ? least : last;
	if (only) {
		first = strtoull(only, NULL, 0);
		last = (strchr(only, '-') ? strtoull(strchr(only, '-') + 1, NULL, 0) : first) + 1;
	}
	for (uint64_t number = first; number < last; number++) {
		mutate(&self->mutant, &self->image, number);
		write_mutant(_metadata, self);
		/* Before it is tried: a kernel that hangs or panics does not say by what. */
		TH_LOG("%llu: %s", (unsigned long long)number, self->mutant.told);
		for (int nobody = 0; nobody < 2; nobody++)
			try_mutant(_metadata, self, number, nobody, must_refuse);
	}
	TH_LOG("%llu mutants: %d restarts refused, %d came back", (unsigned long long)(last - first), self->refused,
	       self->came_back);
	ASSERT_LT(0, self->refused + self->came_back);
}

/* That the image as it is restarts: else every refusal below would prove nothing. */
static void try_unchanged(struct __test_metadata *_metadata, FIXTURE_DATA(image) *self)
{
	mutant_copy(&self->mutant, &self->image);
	write_mutant(_metadata, self);
	self->mutant.told[0] = '\0';
	for (int nobody = 0; nobody < 2; nobody++)
		try_mutant(_metadata, self, 0, nobody, false);
	if (self->whole != 2)
		stage_show_logs(&self->stage);
	if (self->whole != 2)
		FAIL("the image as it was written: %s, expected success", errno_text(self->answer->result).text);
	self->came_back = 0;
}

TEST_F_TIMEOUT(image, cut_anywhere, 800)
{
	prepare(_metadata, self);
	try_unchanged(_metadata, self);
	try_all(_metadata, self, mutate_cut, 4 * self->image.count, true);
}

TEST_F_TIMEOUT(image, wrong_lengths, 800)
{
	prepare(_metadata, self);
	try_all(_metadata, self, mutate_length, 2 * self->image.count, true);
}

TEST_F_TIMEOUT(image, wrong_types, 800)
{
	prepare(_metadata, self);
	try_all(_metadata, self, mutate_type, self->image.count, true);
}

TEST_F_TIMEOUT(image, wrong_order, 800)
{
	prepare(_metadata, self);
	try_all(_metadata, self, mutate_order, 0, false);
}

TEST_F_TIMEOUT(image, wrong_fields, 800)
{
	prepare(_metadata, self);
	try_all(_metadata, self, mutate_field, 0, false);
}

/* Names that checkpoint could not have made, or made for another: victims, what leads to them, what is no file. */
static void mutate_names(struct mutant *mutant, const struct image *image, uint64_t number)
{
	static const char *const hostile[] = {
		"/", ".", "..", "/mnt", "/mnt/victim", "/mnt/" CHECKPOINT_DIR, "/mnt/" CHECKPOINT_DIR "/",
		"/mnt/" CHECKPOINT_DIR "/precious", "/mnt/" FORGED, "/mnt/" FORGED_LINK,
		"/mnt/" CHECKPOINT_DIR "/../../victim", "/mnt/" CHECKPOINT_DIR "/../checkpoint/precious",
		"/mnt/./" FORGED, "//mnt//" FORGED, "mnt/victim", "/mnt/" KEEPER, "/mnt/" KEEPER " (deleted)",
		"/proc/self/mem", "/proc/self/fd/0", "/proc/self/root/mnt/victim", "/proc/self/cwd/" FORGED,
		"/dev/null", "/dev/zero", "/dev/full", "/tmp", "/sys/kernel", "/no/such/file",
		"%s%n%p", "/mnt/\n\033[2J",
	};

	mutate_name(mutant, image, number, hostile, sizeof(hostile) / sizeof(hostile[0]));
}

TEST_F_TIMEOUT(image, wrong_names, 800)
{
	prepare(_metadata, self);
	try_all(_metadata, self, mutate_names, 0, false);
}

/* All that the pipe holds has been read. */
static void wait_read(struct __test_metadata *_metadata, int pipe)
{
	int left = 1;

	for (int tries = 0; left && tries < 5000; tries++) {
		ASSERT_OK(ioctl(pipe, FIONREAD, &left));
		usleep(1000);
	}
	if (left)
		FAIL("the restart stopped reading with %d bytes to go", left);
}

/*
 * A restart opens names as it reads of them, and removes them when it is
 * complete. In between they are anybody's.
 *
 * 1. Restart of an image that comes through a pipe, all but its last record.
 *    Everything has been opened.
 * 2. The name becomes another file's.
 * 3. The last record. The task comes back with the inode that it opened; the
 *    other file is still there.
 */
TEST_F(image, restart_removes_only_what_it_opened)
{
	struct image *image = &self->image;
	size_t last;
	pid_t child;
	int pipe, status;

	prepare(_metadata, self);
	last = image->at[image->count - 1];
	ASSERT_OK(mkfifo(self->path, 0600));
	child = ASSERT_OK(fork());
	if (!child)
		restart_mutant(self, false);
	pipe = ASSERT_OK(open(self->path, O_WRONLY));
	ASSERT_EQ((ssize_t)last, write(pipe, image->data, last));
	wait_read(_metadata, pipe);
	ASSERT_OK(unlink(self->relinked));
	make_file(_metadata, self->relinked, "not yours");
	ASSERT_EQ((ssize_t)(image->size - last), write(pipe, image->data + last, image->size - last));
	close(pipe);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	if (self->answer->returned)
		FAIL("restart: %s, expected success", errno_text(self->answer->result).text);
	ASSERT_TRUE(WIFEXITED(status));
	ASSERT_EQ(CAME_BACK, WEXITSTATUS(status));
	ASSERT_HOLDS(self->relinked, "not yours");
	check_world(_metadata, self, 0, false);
}

TEST_F_TIMEOUT(image, blind, 800)
{
	prepare(_metadata, self);
	try_all(_metadata, self, mutate_blind, 0, false);
}

SUBJECT_HARNESS_MAIN
