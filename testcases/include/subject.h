/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A task to be checkpointed, and the test that watches it.
 *
 * The subject is this program executed anew, so that neither memory nor
 * descriptors of the test harness are part of the image. It runs one function:
 *
 *	SUBJECT(keeps_its_offset)
 *	{
 *		int fd = MUST(open("a", O_RDWR | O_CREAT | O_EXCL, 0600));
 *
 *		MUST(lseek(fd, 7, SEEK_SET));
 *		come_back();
 *		MUST_EQ(7, lseek(fd, 0, SEEK_CUR));
 *	}
 *
 * come_back() is where the checkpoint happens. The original task ends there,
 * the task made by the restart goes on with the next line. What must hold after
 * the restart is written as if nothing had happened: variables keep their
 * values. How the checkpoint comes about (enum event) is not the subject's
 * business.
 *
 * The test drives it and looks at the disk in between:
 *
 *	TEST_F(files, keeps_its_offset)
 *	{
 *		ASSERT_CHECKPOINT(&self->stage, "keeps_its_offset");
 *		... the original has ended, the image is written ...
 *		ASSERT_RESTART(&self->stage);
 *		... the subject has come back, checked and ended ...
 *	}
 *
 * Phases: set up -> checkpoint -> [the original ends] -> restart -> check.
 *
 * A MUST that does not hold becomes the test's own failed assertion, with the
 * subject's file, line and text. The two speak through a regular file that the
 * subject opens for each line: the kernel may support nothing but regular files
 * and directories, and a descriptor kept open would be part of the image.
 */
#ifndef LAB_SUBJECT_H
#define LAB_SUBJECT_H

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkpoint.h"
#include "cleanup.h"
#include "errno_assert.h"

/*
 * How a subject is checkpointed. Another way is another row of event_table,
 * and what the test has to do meanwhile in stage_wait_for().
 */
enum event {
	EVENT_SELF,	/* it calls checkpoint(2) on itself */
	EVENT_FROZEN,	/* the test freezes it and calls checkpoint(2); a task becomes it by restart(2) */
	EVENT_TREE,	/* the same with all its descendants, which /bin/restart makes again with their pids */
};

/* What event() finds itself to be. */
enum role {
	ORIGINAL,	/* the task that was checkpointed, going on */
	RESTARTED,	/* the task that a restart made */
	REFUSED,	/* the task whose checkpoint failed */
};

struct subject {
	const char *name;
	void (*body)(void);
};

/* Declares the function a subject runs. The linker collects the pointers between __start_ and __stop_subjects. */
#define SUBJECT(subject_name)								\
	static void subject_##subject_name(void);					\
	static const struct subject subject_name##_subject = {				\
		#subject_name, subject_##subject_name					\
	};										\
	static const struct subject *const subject_name##_entry				\
		__attribute__((used, section("subjects"))) = &subject_name##_subject;	\
	static void subject_##subject_name(void)

extern const struct subject *const __start_subjects[] __attribute__((weak));
extern const struct subject *const __stop_subjects[] __attribute__((weak));

/*
 * The subject's side
 */

/* All that a subject remembers about itself. It comes back from the image like the rest of its memory. */
static struct {
	char folder[128];
	enum event event;
	int events;
	const char *phase;
} subject_self;

static inline void subject_path(char *path, size_t size, const char *folder, const char *name, int number)
{
	if (number)
		snprintf(path, size, "%s/%s.%d", folder, name, number);
	else
		snprintf(path, size, "%s/%s", folder, name);
}

static inline int subject_open(const char *folder, const char *name, int number, int flags)
{
	char path[256];

	subject_path(path, sizeof(path), folder, name, number);
	return open(path, flags | O_CLOEXEC, 0600);
}

/* One line to the test: its first word says what the rest is. */
__attribute__((format(printf, 1, 2)))
static inline void subject_report(const char *format, ...)
{
	cleanup_close int fd = subject_open(subject_self.folder, "report", 0, O_WRONLY | O_CREAT | O_APPEND);
	char line[1024];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line) - 1, format, arguments);
	va_end(arguments);
	if (length > (int)sizeof(line) - 2)
		length = sizeof(line) - 2;
	for (int i = 0; i < length; i++)
		if (line[i] == '\n')
			line[i] = ' ';
	line[length++] = '\n';
	if (fd < 0 || write(fd, line, length) != length)
		_exit(EXIT_FAILURE);
}

#define SUBJECT_FAIL(format, ...) do {								\
	subject_report("failed %s:%d %s: " format, __FILE__, __LINE__, subject_self.phase, ##__VA_ARGS__); \
	_exit(EXIT_FAILURE);									\
} while (0)

/* The call's result, which is not negative. */
#define MUST(call) ({									\
	__typeof__(call) __result = (call);						\
											\
	if (__result < 0)								\
		SUBJECT_FAIL("%s: %s, expected success", #call, errno_text(-errno).text); \
	__result;									\
})

/* The call fails with this error, given as -ENOENT. */
#define MUST_FAIL(wanted, call) do {							\
	long __result = (call);								\
	long __wanted = (wanted);							\
											\
	__result = __result < 0 ? -errno : 0;						\
	if (__result != __wanted)							\
		SUBJECT_FAIL("%s: %s, expected %s", #call, errno_text(__result).text,	\
			     errno_text(__wanted).text);				\
} while (0)

#define MUST_EQ(wanted, seen) do {							\
	long long __wanted = (wanted);							\
	long long __seen = (seen);							\
											\
	if (__wanted != __seen)								\
		SUBJECT_FAIL("%s is %lld, expected %s (%lld)", #seen, __seen, #wanted, __wanted); \
} while (0)

#define MUST_NE(unwanted, seen) do {							\
	long long __unwanted = (unwanted);						\
	long long __seen = (seen);							\
											\
	if (__unwanted == __seen)							\
		SUBJECT_FAIL("%s is %s (%lld), expected another", #seen, #unwanted, __seen); \
} while (0)

/* The file behind a descriptor holds exactly this text, whatever its offset. */
#define MUST_HOLD(wanted, fd) do {							\
	const char *__wanted = (wanted);						\
	char __seen[256] = "";								\
											\
	MUST(pread(fd, __seen, sizeof(__seen) - 1, 0));					\
	if (strcmp(__wanted, __seen))							\
		SUBJECT_FAIL("%s holds '%s', expected '%s'", #fd, __seen, __wanted);	\
} while (0)

/* The whole text, in one write at the descriptor's offset. */
#define MUST_WRITE(fd, text) MUST_EQ((long long)strlen(text), write(fd, text, strlen(text)))

static inline struct stat subject_stat(int fd)
{
	struct stat found;

	if (fstat(fd, &found)) {
		subject_report("failed %s:%d %s: fstat of descriptor %d: %s", __FILE__, __LINE__, subject_self.phase,
			       fd, errno_text(-errno).text);
		_exit(EXIT_FAILURE);
	}
	return found;
}

/* Lets the test know a number, by name: its SUBJECT_TOLD(). */
static inline void tell(const char *name, long long value)
{
	subject_report("told %s %lld", name, value);
}

/* Open descriptors as a bit mask: the first 64 are all that a case uses. */
static inline unsigned long long subject_descriptors(void)
{
	unsigned long long open_ones = 0;

	for (int fd = 0; fd < 64; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			open_ones |= 1ULL << fd;
	return open_ones;
}

/* The path of the program that the subject runs. */
static inline const char *own_program(void)
{
	static char path[256];

	if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0)
		SUBJECT_FAIL("/proc/self/exe: %s", errno_text(-errno).text);
	return path;
}

/* Ends here and begins anew, as a subject of that name, in the program at a path. */
static inline void begin_anew(const char *program, const char *name)
{
	char event[16];
	char *argv[] = { "subject", "--subject", (char *)name, event, subject_self.folder, NULL };

	snprintf(event, sizeof(event), "%d", subject_self.event);
	MUST(execv(program, argv));
}

static inline long event_self(void)
{
	int image = subject_open(subject_self.folder, "image", subject_self.events, O_RDWR | O_CREAT | O_EXCL);
	int log = subject_open(subject_self.folder, "kernel", subject_self.events, O_WRONLY | O_CREAT | O_EXCL);
	long result;

	if (image < 0 || log < 0)
		SUBJECT_FAIL("image and log of the checkpoint: %s", errno_text(-errno).text);
	result = sys_checkpoint(0, image, CHECKPOINT_SUBTREE, log);
	/* After a restart either may be missing: whether they are part of the image is the kernel's choice. */
	close(image);
	close(log);
	return result;
}

/*
 * The test makes the image while the subject waits, frozen wherever it happens
 * to be. The file that ends the wait says what the subject is: the original,
 * or, when the test has written it anew, a task that was restarted.
 */
static inline long event_frozen(void)
{
	char path[256], text[32] = "";
	long result;
	int fd;

	subject_path(path, sizeof(path), subject_self.folder, "verdict", subject_self.events);
	subject_report("ready %d", subject_self.events);
	while (access(path, F_OK))
		usleep(1000);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0 || sscanf(text, "%ld", &result) != 1)
		SUBJECT_FAIL("the test's verdict: %s", errno_text(-errno).text);
	close(fd);
	return result;
}

static long (*const event_table[])(void) = {
	[EVENT_SELF] = event_self,
	[EVENT_FROZEN] = event_frozen,
	[EVENT_TREE] = event_frozen,
};

static const char *const event_names[] = {
	[EVENT_SELF] = "self",
	[EVENT_FROZEN] = "frozen",
	[EVENT_TREE] = "tree",
};

/* The checkpoint. Returns in the original, and again in each task that is restarted from its image. */
static inline enum role event(void)
{
	unsigned long long before = subject_descriptors();
	long result;

	subject_self.events++;
	result = event_table[subject_self.event]();
	if (result < 0) {
		subject_self.phase = "after the refused checkpoint";
		subject_report("checkpoint %d %ld", subject_self.events, result);
	} else if (result > 0) {
		subject_self.phase = "in the original after the checkpoint";
		subject_report("checkpoint %d %ld", subject_self.events, result);
	} else {
		subject_self.phase = "after the restart";
		subject_report("restarted %d", subject_self.events);
	}
	if (subject_descriptors() != before)
		SUBJECT_FAIL("open descriptors are %#llx, expected %#llx as before", subject_descriptors(), before);
	return result < 0 ? REFUSED : result > 0 ? ORIGINAL : RESTARTED;
}

/* The usual event: the original ends here. */
static inline void come_back(void)
{
	if (event() != RESTARTED)
		_exit(EXIT_SUCCESS);
}

/*
 * kselftest_harness.h keeps each test's record in shared anonymous memory,
 * made before main(). It would be part of the image, as a mapping of an
 * unlinked file of its own.
 */
static inline void subject_drop_shared_memory(void)
{
	for (struct __fixture_metadata *fixture = __fixture_list; fixture; fixture = fixture->next) {
		struct __test_metadata *next;

		if (fixture == &_fixture_global)
			continue;
		for (struct __test_metadata *test = fixture->tests; test; test = next) {
			next = test->next;
			munmap(test, sizeof(*test));
		}
		fixture->tests = NULL;
	}
}

/* Descriptors 0, 1 and 2 are a regular file, nothing else is open. */
static inline int subject_use_log(const char *folder)
{
	int log = subject_open(folder, "output", 0, O_RDWR | O_CREAT | O_APPEND);

	if (log < 0 || dup2(log, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		return -1;
	return close_range(3, ~0U, 0);
}

/* program --subject <name> <event> <folder> */
static inline int subject_main(char **argv)
{
	const struct subject *const *entry;

	snprintf(subject_self.folder, sizeof(subject_self.folder), "%s", argv[4]);
	subject_self.event = atoi(argv[3]);
	subject_self.phase = "set up";
	subject_drop_shared_memory();
	if (subject_use_log(subject_self.folder))
		SUBJECT_FAIL("its log: %s", errno_text(-errno).text);
	for (entry = __start_subjects; entry < __stop_subjects; entry++) {
		if (strcmp((*entry)->name, argv[2]))
			continue;
		(*entry)->body();
		subject_report("done");
		return EXIT_SUCCESS;
	}
	SUBJECT_FAIL("there is no SUBJECT(%s)", argv[2]);
}

/* program --restart <number of the image> <folder> <flags>: becomes the subject, or reports why not. */
static inline int restart_main(char **argv)
{
	unsigned long flags = strtoul(argv[4], NULL, 0);
	int number = atoi(argv[2]);
	int image, log;

	snprintf(subject_self.folder, sizeof(subject_self.folder), "%s", argv[3]);
	subject_self.phase = "restart";
	if (subject_use_log(subject_self.folder))
		SUBJECT_FAIL("its log: %s", errno_text(-errno).text);
	image = MUST(subject_open(subject_self.folder, "image", number, O_RDONLY));
	log = MUST(subject_open(subject_self.folder, "kernel-restart", number, O_WRONLY | O_CREAT | O_TRUNC));
	subject_report("restart %ld", sys_restart(0, image, RESTART_TASKSELF | flags, log));
	return EXIT_SUCCESS;
}

/* Instead of TEST_HARNESS_MAIN. */
#define SUBJECT_HARNESS_MAIN							\
	int main(int argc, char **argv)						\
	{									\
		if (argc == 5 && !strcmp(argv[1], "--subject"))			\
			return subject_main(argv);				\
		if (argc == 5 && !strcmp(argv[1], "--restart"))			\
			return restart_main(argv);				\
		return test_harness_run(argc, argv);				\
	}

/*
 * The test's side
 */

/* Where one test keeps its subject's image, logs and report. */
struct stage {
	char folder[128];	/* not on the filesystem under test */
	enum event event;
	const char *subject;
	long report_seen;	/* bytes of the report that were read */
	int checkpoints;	/* images written */
	int tried;		/* checkpoints that were asked for */
	const char *remains;	/* names the test leaves in the filesystem's root, for stage_tear_down() */
	unsigned long restart_flags;	/* beside RESTART_TASKSELF */
	const char *terminal;	/* EVENT_TREE: what /bin/restart gives the session that the root begins */
	int (*before_restart)(void);	/* what the task that restarts does first (0: done): its privileges, its root */
	int ready;		/* events at which the subject waits to be checkpointed, so far */
	int frozen;		/* number of the last event that the test dealt with */
	pid_t child;		/* the subject that is being checkpointed */
};

/* What a subject reported in one phase. */
struct report {
	char failed[1024];	/* "file:line text", or empty */
	bool asked;		/* a checkpoint or restart returned */
	long result;		/* its result */
	bool restarted;
	bool done;
};

static inline void stage_show(const struct stage *stage, const char *file, int number, const char *label)
{
	cleanup_fclose FILE *log = NULL;
	char path[256], line[512];

	subject_path(path, sizeof(path), stage->folder, file, number);
	log = fopen(path, "r");
	while (log && fgets(line, sizeof(line), log)) {
		line[strcspn(line, "\n")] = '\0';
		for (char *at = line; *at; at++)
			if (!isprint((unsigned char)*at))
				*at = '?';
		fprintf(TH_LOG_STREAM, "# %s: %s\n", label, line);
	}
}

static inline void stage_show_logs(const struct stage *stage)
{
	stage_show(stage, "output", 0, "subject");
	for (int number = 1; number <= stage->checkpoints + 1; number++) {
		stage_show(stage, "kernel", number, "checkpoint log");
		stage_show(stage, "kernel-restart", number, "restart log");
	}
}

/* Fails the test for the line that asked, and shows what subject and kernel said. */
#define STAGE_FAIL(format, ...) do {						\
	char __said[1280];							\
										\
	snprintf(__said, sizeof(__said), format, ##__VA_ARGS__);		\
	stage_fail(_metadata, stage, file, line, __said);			\
} while (0)

__attribute__((noreturn))
static inline void stage_fail(struct __test_metadata *_metadata, const struct stage *stage, const char *file, int line,
			      const char *said)
{
	fprintf(TH_LOG_STREAM, "# %s:%d:%s:%s\n", file, line, _metadata->name, said);
	stage_show_logs(stage);
	_metadata->exit_code = KSFT_FAIL;
	__bail(1, _metadata);
	__builtin_unreachable();
}

static inline FILE *stage_open_report(const struct stage *stage)
{
	char path[256];

	subject_path(path, sizeof(path), stage->folder, "report", 0);
	return fopen(path, "r");
}

static inline void stage_note(struct stage *stage, struct report *report, const char *line)
{
	int number;

	if (!strncmp(line, "failed ", 7)) {
		snprintf(report->failed, sizeof(report->failed), "%s", line + 7);
	} else if (sscanf(line, "checkpoint %d %ld", &number, &report->result) == 2) {
		report->asked = true;
		stage->tried = number;
		if (report->result > 0)
			stage->checkpoints = number;
	} else if (sscanf(line, "ready %d", &number) == 1) {
		stage->ready = number;
	} else if (sscanf(line, "restart %ld", &report->result) == 1) {
		report->asked = true;
	} else if (!strncmp(line, "restarted ", 10)) {
		report->restarted = true;
	} else if (!strcmp(line, "done")) {
		report->done = true;
	}
}

/* The lines since the last call. */
static inline struct report stage_read_report(struct stage *stage)
{
	cleanup_fclose FILE *file = stage_open_report(stage);
	struct report report = { 0 };
	char line[1024];

	if (!file || fseek(file, stage->report_seen, SEEK_SET))
		return report;
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		stage_note(stage, &report, line);
	}
	stage->report_seen = ftell(file);
	return report;
}

static inline long long stage_told(struct __test_metadata *_metadata, struct stage *stage, const char *file, int line,
				   const char *name)
{
	cleanup_fclose FILE *report = stage_open_report(stage);
	char text[1024], found[64];
	long long value, last = 0;
	bool told = false;

	while (report && fgets(text, sizeof(text), report)) {
		if (sscanf(text, "told %63s %lld", found, &value) == 2 && !strcmp(found, name)) {
			last = value;
			told = true;
		}
	}
	if (!told)
		STAGE_FAIL("the subject did not tell '%s'", name);
	return last;
}

/* The number a subject gave with tell(name, number). */
#define SUBJECT_TOLD(stage, name) stage_told(_metadata, stage, __FILE__, __LINE__, name)

/*
 * The cgroup that the subject is frozen in. The root of the hierarchy cannot be
 * frozen, and the test must not be.
 */
#define STAGE_CGROUPS "/tmp/cgroup"
#define STAGE_CGROUP STAGE_CGROUPS "/subject"

static inline int stage_cgroup_write(const char *file, const char *text)
{
	cleanup_close int fd = -1;
	char path[256];

	subject_path(path, sizeof(path), STAGE_CGROUP, file, 0);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -1 : 0;
}

static inline int stage_enter_cgroup(void)
{
	return stage_cgroup_write("cgroup.procs", "0");
}

static inline void stage_make_cgroup(struct __test_metadata *_metadata)
{
	if (mkdir(STAGE_CGROUPS, 0700) && errno != EEXIST)
		FAIL("mkdir(%s): %s, expected success", STAGE_CGROUPS, errno_text(-errno).text);
	if (access(STAGE_CGROUPS "/cgroup.procs", F_OK) && mount("none", STAGE_CGROUPS, "cgroup2", 0, NULL))
		FAIL("mount of cgroup2: %s, expected success", errno_text(-errno).text);
	if (mkdir(STAGE_CGROUP, 0700) && errno != EEXIST)
		FAIL("mkdir(%s): %s, expected success", STAGE_CGROUP, errno_text(-errno).text);
}

static inline bool stage_is_frozen(void)
{
	cleanup_fclose FILE *events = fopen(STAGE_CGROUP "/cgroup.events", "re");
	char line[64];

	while (events && fgets(line, sizeof(line), events))
		if (!strcmp(line, "frozen 1\n"))
			return true;
	return false;
}

/* Freezes all of the cgroup, or thaws it, and waits until it is so. */
static inline void stage_freeze(struct __test_metadata *_metadata, bool freeze)
{
	ASSERT_OK(stage_cgroup_write("cgroup.freeze", freeze ? "1" : "0"));
	while (stage_is_frozen() != freeze)
		usleep(1000);
}

/* Executes a program, after what comes first; it dies with the test. */
static inline pid_t stage_spawn_program(struct __test_metadata *_metadata, const char *path, char *const argv[],
					int (*first)(void))
{
	cleanup_close int program = ASSERT_OK(open(path, O_RDONLY | O_CLOEXEC));
	pid_t child, parent = getpid();

	fflush(NULL);
	child = ASSERT_OK(fork());
	if (child)
		return child;
	if (first && first()) {
		fprintf(stderr, "# before the restart: %s\n", errno_text(-errno).text);
		_exit(EXIT_FAILURE);
	}
	/* After it: who changes credentials loses the signal. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		execveat(program, "", argv, environ, AT_EMPTY_PATH);
	_exit(EXIT_FAILURE);
}

/* Executes this program anew. */
static inline pid_t stage_spawn(struct __test_metadata *_metadata, char *const argv[], int (*first)(void))
{
	return stage_spawn_program(_metadata, "/proc/self/exe", argv, first);
}

/* Waits until the phase is over and says how the task ended, as waitpid() has it. */
static inline int stage_wait_for(struct __test_metadata *_metadata, pid_t child)
{
	int status;

	ASSERT_OK(waitpid(child, &status, 0));
	return status;
}

/* Says to the subject at an event what it is. By a rename: it never reads half of it. */
static inline void stage_give_verdict(struct __test_metadata *_metadata, const struct stage *stage, int event,
				      long result)
{
	char path[256], made[256], text[32];
	cleanup_close int fd = -1;

	subject_path(made, sizeof(made), stage->folder, "making", 0);
	subject_path(path, sizeof(path), stage->folder, "verdict", event);
	fd = ASSERT_OK(open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	snprintf(text, sizeof(text), "%ld", result);
	ASSERT_OK(write(fd, text, strlen(text)));
	ASSERT_OK(rename(made, path));
}

/* The subject is at an event: freeze it, make the image, let it go on. */
static inline void stage_checkpoint_frozen(struct __test_metadata *_metadata, struct stage *stage)
{
	cleanup_close int image = subject_open(stage->folder, "image", stage->ready, O_RDWR | O_CREAT | O_EXCL);
	cleanup_close int log = subject_open(stage->folder, "kernel", stage->ready, O_WRONLY | O_CREAT | O_EXCL);
	long result;

	ASSERT_OK(image);
	ASSERT_OK(log);
	stage_freeze(_metadata, true);
	result = sys_checkpoint(stage->child, image, CHECKPOINT_SUBTREE, log);
	stage_give_verdict(_metadata, stage, stage->ready, result);
	stage_freeze(_metadata, false);
	stage->frozen = stage->ready;
}

/* What the root of a tree leaves behind: their numbers must be free for the restart. */
static inline void stage_end_tree(struct __test_metadata *_metadata)
{
	ASSERT_OK(stage_cgroup_write("cgroup.kill", "1"));
	while (waitpid(-1, NULL, 0) > 0)
		;
}

/* Deals with the events of a subject that waits for it, until it ends. */
static inline int stage_watch(struct __test_metadata *_metadata, struct stage *stage)
{
	long seen = stage->report_seen;
	int status;

	if (stage->event == EVENT_SELF)
		return stage_wait_for(_metadata, stage->child);
	stage->ready = stage->frozen = 0;
	ASSERT_OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
	while (!ASSERT_OK(waitpid(stage->child, &status, WNOHANG))) {
		stage_read_report(stage);
		if (stage->ready > stage->frozen)
			stage_checkpoint_frozen(_metadata, stage);
		usleep(1000);
	}
	stage_end_tree(_metadata);
	/* To be read once more, as a whole. */
	stage->report_seen = seen;
	return status;
}

/* Both phases end a test in the same ways when the task did not get to say more. */
static inline void stage_check_end(struct __test_metadata *_metadata, struct stage *stage, const char *file, int line,
				   const char *phase, int status, const struct report *report)
{
	const char *space;

	if (report->failed[0]) {
		/* "file:line text" becomes "file:line:test:text": the subject's line is what a reader looks for. */
		space = strchr(report->failed, ' ');
		fprintf(TH_LOG_STREAM, "# %.*s:%s:%s\n", (int)(space - report->failed), report->failed,
			_metadata->name, space + 1);
		stage_show_logs(stage);
		_metadata->exit_code = KSFT_FAIL;
		__bail(1, _metadata);
	}
	if (WIFSIGNALED(status))
		STAGE_FAIL("%s: the task was killed by SIG%s%s", phase, sigabbrev_np(WTERMSIG(status)),
			   report->restarted ? " after it had come back" : "");
	if (WEXITSTATUS(status))
		STAGE_FAIL("%s: the task ended with status %d and said nothing", phase, WEXITSTATUS(status));
}

static inline void stage_checkpoint(struct __test_metadata *_metadata, struct stage *stage, const char *file, int line,
				    const char *name, long wanted)
{
	char number[16];
	char *argv[] = { "subject", "--subject", (char *)name, number, stage->folder, NULL };
	struct report report;
	long result;
	int status;

	snprintf(number, sizeof(number), "%d", stage->event);
	stage->subject = name;
	if (stage->event != EVENT_SELF)
		stage_make_cgroup(_metadata);
	stage->child = stage_spawn(_metadata, argv, stage->event == EVENT_SELF ? NULL : stage_enter_cgroup);
	status = stage_watch(_metadata, stage);
	report = stage_read_report(stage);
	stage_check_end(_metadata, stage, file, line, "checkpoint", status, &report);
	if (!report.asked)
		STAGE_FAIL("the subject %s ended without a checkpoint", name);
	result = report.result < 0 ? report.result : 0;
	if (result != wanted)
		STAGE_FAIL("checkpoint (%s) of %s: %s, expected %s", event_names[stage->event], name,
			   errno_text(result).text, errno_text(wanted).text);
}

/* The tree is not made by the test but by the tool that users have, which passes on how its root ends. */
static inline pid_t stage_spawn_tree(struct __test_metadata *_metadata, struct stage *stage, int image)
{
	char image_path[256], log_path[256];
	char *argv[9] = { "restart", "-i", image_path, "-l", log_path };
	int argc = 5;

	subject_path(image_path, sizeof(image_path), stage->folder, "image", image);
	subject_path(log_path, sizeof(log_path), stage->folder, "kernel-restart", image);
	if (stage->restart_flags)
		argv[argc++] = "-k";
	if (stage->terminal) {
		argv[argc++] = "-t";
		argv[argc++] = (char *)stage->terminal;
	}
	return stage_spawn_program(_metadata, "/bin/restart", argv, stage->before_restart);
}

static inline pid_t stage_spawn_restart(struct __test_metadata *_metadata, struct stage *stage, int image)
{
	char number[16], flags[16];
	char *argv[] = { "restart", "--restart", number, stage->folder, flags, NULL };

	if (stage->event != EVENT_SELF)
		stage_give_verdict(_metadata, stage, image, 0);
	if (stage->event == EVENT_TREE)
		return stage_spawn_tree(_metadata, stage, image);
	snprintf(number, sizeof(number), "%d", image);
	snprintf(flags, sizeof(flags), "%#lx", stage->restart_flags);
	return stage_spawn(_metadata, argv, stage->before_restart);
}

/* Why the restart of a tree failed: the number in the first record of the log. */
static inline long stage_tree_errno(const struct stage *stage, int image)
{
	cleanup_fclose FILE *log = NULL;
	char path[256];
	long error = 0;

	subject_path(path, sizeof(path), stage->folder, "kernel-restart", image);
	log = fopen(path, "re");
	return log && fscanf(log, "E %ld", &error) == 1 ? -error : 0;
}

static inline void stage_restart(struct __test_metadata *_metadata, struct stage *stage, const char *file, int line,
				 int image, long wanted)
{
	struct report report;
	long result;
	int status;

	status = stage_wait_for(_metadata, stage_spawn_restart(_metadata, stage, image));
	report = stage_read_report(stage);
	if (stage->event == EVENT_TREE && !report.restarted && stage_tree_errno(stage, image)) {
		report.asked = true;
		report.result = stage_tree_errno(stage, image);
		status = 0;
	}
	stage_check_end(_metadata, stage, file, line, "restart", status, &report);
	if (!report.asked && !report.done)
		STAGE_FAIL("restart of %s: neither came back nor failed", stage->subject);
	/* A positive one is of a further checkpoint: the task came back, and went on. */
	result = report.result < 0 ? report.result : 0;
	if (result != wanted)
		STAGE_FAIL("restart of %s: %s, expected %s", stage->subject, errno_text(result).text,
			   errno_text(wanted).text);
}

/* What the kernel wrote to the log of the last checkpoint that was tried; "" when there was none. */
static inline void stage_check_log(struct __test_metadata *_metadata, struct stage *stage, const char *file, int line,
				   const char *log, const char *wanted)
{
	char path[256], text[4096] = "";
	cleanup_close int fd = -1;

	subject_path(path, sizeof(path), stage->folder, log, stage->tried);
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		STAGE_FAIL("log %s: %s, expected success", path, errno_text(-errno).text);
	if (!strstr(text, wanted))
		STAGE_FAIL("the log %s does not say '%s'", log, wanted);
}

/* The kernel's log of the last checkpoint that was tried has this text. */
#define ASSERT_LOG(stage, wanted) stage_check_log(_metadata, stage, __FILE__, __LINE__, "kernel", wanted)

/* The same of the last restart that was tried. */
#define ASSERT_RESTART_LOG(stage, wanted)	\
	stage_check_log(_metadata, stage, __FILE__, __LINE__, "kernel-restart", wanted)

/* The subject runs up to its event, is checkpointed and the original ends. */
#define ASSERT_CHECKPOINT(stage, name) stage_checkpoint(_metadata, stage, __FILE__, __LINE__, name, 0)

/* As above, but the last checkpoint is refused with this error, given as -ENOENT. */
#define ASSERT_CHECKPOINT_ERRNO(wanted, stage, name)	\
	stage_checkpoint(_metadata, stage, __FILE__, __LINE__, name, wanted)

/* A new task becomes the subject of the last image, and all that the subject checks holds. */
#define ASSERT_RESTART(stage) stage_restart(_metadata, stage, __FILE__, __LINE__, (stage)->checkpoints, 0)

/* As above, with the image of an earlier event, counted from 1. */
#define ASSERT_RESTART_OF(stage, image) stage_restart(_metadata, stage, __FILE__, __LINE__, image, 0)

/* The restart of the last image returns this error, given as -ENOENT; its task lives on. */
#define ASSERT_RESTART_ERRNO(wanted, stage)	\
	stage_restart(_metadata, stage, __FILE__, __LINE__, (stage)->checkpoints, wanted)

#endif /* LAB_SUBJECT_H */
