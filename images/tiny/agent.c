// SPDX-License-Identifier: GPL-2.0-only
/*
 * The agent: process 1 of a lab guest.
 *
 * It mounts what programs take for granted and the filesystem under test, then obeys the host's
 * one-line commands on a virtio-serial port: run a case, list a program's tests, open a shell.
 * The protocol is described in harness/machine/channel.py.
 *
 * A guest may be saved at any moment in which it waits for a command and be resumed elsewhere, so
 * nothing here remembers the host: each command carries what it needs.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/btrfs.h>
#include <linux/random.h>

#include "leaks.h"
#include "memory_disk.h"
#include "rehearsal.h"
#include "waiting.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define __printf(a, b)	__attribute__((format(printf, a, b)))

#define PROTOCOL	1
#define CASES		"/cases/"
#define TARGET		"/mnt"
#define CONSOLE		"/dev/ttyS0"
#define BEAT_MS		300
#define GRACE_MS	1000
#define OUTPUT_MAX	4096
#define MOUNTS_MAX	64
#define VARIABLES_MAX	8

static struct {
	char fs[32];
	char device[64];
	char options[256];
	char run[256];
	char later[8];
	char slower[16];
	char variables[VARIABLES_MAX][128];
} asked;

/* What the host has sent and nobody has obeyed yet. */
static struct {
	char text[1024];
	size_t length;
} commands;

static int port = -1;
static int mount_table = -1;
static bool target_mounted;
/* Whether the host looks at a guest behind its case, and whether it does so now. */
static bool hold, held;
static int own_mounts[MOUNTS_MAX];
static size_t own_mounts_count;

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* What a kernel is given to end what was killed; one that checks itself takes longer for everything. */
static long long grace_ms(void)
{
	double slower = strtod(asked.slower, NULL);

	return GRACE_MS * (slower > 1 ? slower : 1);
}

static const char *error_name(int error)
{
	const char *name = strerrorname_np(error);

	return name ? name : "EUNKNOWN";
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done;

	if (fd < 0)
		return false;
	done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return done;
}

static __printf(1, 2) void log_kernel(const char *format, ...)
{
	char text[512];
	va_list args;
	int length = snprintf(text, sizeof(text), "<5>lab: ");

	va_start(args, format);
	vsnprintf(text + length, sizeof(text) - length, format, args);
	va_end(args);
	write_file("/dev/kmsg", text);
}

/* Process 1 must not return: the kernel would panic, and the host would blame it. */
static void power_off(void)
{
	sync();
	/* The host runs the machine with -no-reboot: this ends it. */
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

static void give_up(const char *what)
{
	log_kernel("agent: %s: %s", what, strerror(errno));
	power_off();
}

static void send_all(const char *data, size_t length)
{
	while (length) {
		ssize_t sent = write(port, data, length);

		if (sent < 0 && errno != EINTR)
			return;
		if (sent > 0) {
			data += sent;
			length -= sent;
		}
	}
}

static __printf(1, 2) void say(const char *format, ...)
{
	char line[1024];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (length > (int)sizeof(line) - 2)
		length = sizeof(line) - 2;
	line[length] = '\n';
	send_all(line, length + 1);
}

/* Setting up */

static void mount_system(void)
{
	static const struct {
		const char *type, *where, *options;
	} mounts[] = {
		{ "devtmpfs", "/dev", "mode=0755" },
		{ "proc", "/proc", NULL },
		{ "sysfs", "/sys", NULL },
		{ "devpts", "/dev/pts", "ptmxmode=0666" },
		{ "tmpfs", "/dev/shm", "mode=1777" },
		{ "tmpfs", "/tmp", "mode=1777" },
		{ "cgroup2", "/sys/fs/cgroup", NULL },
		{ "debugfs", "/sys/kernel/debug", NULL },
	};
	size_t i;

	/* A kernel without one of them still boots; the case that needs it says so. */
	for (i = 0; i < ARRAY_SIZE(mounts); i++) {
		mkdir(mounts[i].where, 0755);
		mount(mounts[i].type, mounts[i].where, mounts[i].type, 0, mounts[i].options);
	}
}

static void set_sysctls(void)
{
	static const struct {
		const char *path, *value;
	} sysctls[] = {
		/* A task stuck in the kernel is reported before its case's time is over. */
		{ "hung_task_timeout_secs", "10" },
		{ "hung_task_check_interval_secs", "3" },
		/*
		 * To a silent guest the host sends an NMI: the panic shows where it is stuck.
		 * microvm has no port 0x61 to name the NMI's reason, and reads as all of them.
		 */
		{ "unknown_nmi_panic", "1" },
		{ "panic_on_unrecovered_nmi", "1" },
		{ "panic_on_io_nmi", "1" },
	};
	char path[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sysctls); i++) {
		snprintf(path, sizeof(path), "/proc/sys/kernel/%s", sysctls[i].path);
		write_file(path, sysctls[i].value);
	}
}

/* lab.env=NAME=VALUE, as often as there is room. */
static void keep_variable(const char *word)
{
	int i;

	for (i = 0; i < VARIABLES_MAX; i++) {
		if (!*asked.variables[i]) {
			snprintf(asked.variables[i], sizeof(asked.variables[i]), "%s", word);
			return;
		}
	}
}

static void read_command_line(void)
{
	static const struct {
		const char *name;
		char *value;
		size_t size;
	} known[] = {
		{ "lab.fs=", asked.fs, sizeof(asked.fs) },
		{ "lab.device=", asked.device, sizeof(asked.device) },
		{ "lab.mount=", asked.options, sizeof(asked.options) },
		{ "lab.run=", asked.run, sizeof(asked.run) },
		{ "lab.later=", asked.later, sizeof(asked.later) },
		{ "lab.slower=", asked.slower, sizeof(asked.slower) },
	};
	char text[4096] = "", *word, *rest = text;
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	size_t i;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		give_up("/proc/cmdline");
	close(fd);
	while ((word = strsep(&rest, " \n"))) {
		if (!strncmp(word, "lab.env=", 8))
			keep_variable(word + 8);
		for (i = 0; i < ARRAY_SIZE(known); i++) {
			size_t length = strlen(known[i].name);

			if (!strncmp(word, known[i].name, length))
				snprintf(known[i].value, known[i].size, "%s", word + length);
		}
	}
}

/* The device of the virtio-serial port called "lab", or -1 while it is not there. */
static int find_port(void)
{
	const char *ports = "/sys/class/virtio-ports";
	DIR *dir = opendir(ports);
	struct dirent *entry;
	int found = -1;

	while (dir && found < 0 && (entry = readdir(dir))) {
		char path[512], name[16] = "";
		int fd;

		snprintf(path, sizeof(path), "%s/%s/name", ports, entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (read(fd, name, sizeof(name) - 1) > 0 && !strcmp(name, "lab\n")) {
			snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
			found = open(path, O_RDWR | O_CLOEXEC);
		}
		close(fd);
	}
	if (dir)
		closedir(dir);
	return found;
}

static void open_port(void)
{
	long long end = now_ms() + 10000;

	/* The device tells of its ports in a message of its own, after the driver is up. */
	while ((port = find_port()) < 0) {
		if (now_ms() > end) {
			errno = ENODEV;
			give_up("virtio-serial port \"lab\"");
		}
		usleep(1000);
	}
}

/* The filesystem under test */

static unsigned long take_flag(const char *word)
{
	static const struct {
		const char *name;
		unsigned long flag;
	} flags[] = {
		{ "ro", MS_RDONLY },	     { "nosuid", MS_NOSUID },
		{ "nodev", MS_NODEV },	     { "noexec", MS_NOEXEC },
		{ "sync", MS_SYNCHRONOUS },  { "dirsync", MS_DIRSYNC },
		{ "noatime", MS_NOATIME },   { "nodiratime", MS_NODIRATIME },
		{ "relatime", MS_RELATIME }, { "strictatime", MS_STRICTATIME },
		{ "lazytime", MS_LAZYTIME },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (!strcmp(word, flags[i].name))
			return flags[i].flag;
	return 0;
}

static int mount_target(void)
{
	char copy[sizeof(asked.options)], data[sizeof(asked.options)] = "";
	char *word, *rest = copy;
	unsigned long flags = 0;

	memcpy(copy, asked.options, sizeof(copy));
	while ((word = strsep(&rest, ","))) {
		unsigned long flag = take_flag(word);

		flags |= flag;
		if (flag || !*word)
			continue;
		if (*data)
			strcat(data, ",");
		strcat(data, word);
	}
	return mount(*asked.device ? asked.device : "none", TARGET, asked.fs, flags, data);
}

/* A filesystem that is gone gives its device free: umount(2) alone does not tell. */
static int wait_released(long long end)
{
	int fd;

	if (!*asked.device)
		return 0;
	while ((fd = open(asked.device, O_RDONLY | O_EXCL | O_CLOEXEC)) < 0) {
		if (errno != EBUSY || now_ms() > end)
			return -1;
		usleep(2000);
	}
	close(fd);
	return 0;
}

/* Kernel threads close files of dead tasks a little later (io_uring): busy is not final at once. */
static int unmount_target(void)
{
	long long end = now_ms() + grace_ms();

	while (umount(TARGET)) {
		if (errno == EINVAL)
			break;
		if (errno != EBUSY || now_ms() > end)
			return -1;
		usleep(2000);
	}
	return wait_released(end);
}

/* Calls back for each mount point of the agent's namespace, oldest first. */
static void each_mount(void (*visit)(int id, const char *where, void *result), void *result)
{
	FILE *list = fopen("/proc/self/mountinfo", "re");
	char line[4096], where[PATH_MAX];
	int id;

	while (list && fgets(line, sizeof(line), list))
		if (sscanf(line, "%d %*d %*s %*s %4095s", &id, where) == 2)
			visit(id, where, result);
	if (list)
		fclose(list);
}

static void remember_mount(int id, const char *where, void *unused)
{
	if (own_mounts_count < MOUNTS_MAX)
		own_mounts[own_mounts_count++] = id;
}

/* Leaves in ``last`` the youngest mount that is neither the agent's nor the target's. */
static void note_foreign(int id, const char *where, void *last)
{
	size_t i;

	for (i = 0; i < own_mounts_count; i++)
		if (own_mounts[i] == id)
			return;
	if (strcmp(where, TARGET))
		snprintf(last, PATH_MAX, "%s", where);
}

/* Whether anything was mounted or unmounted since this was asked before: reading the whole table costs more. */
static bool mounts_changed(void)
{
	struct pollfd table = { .fd = mount_table, .events = POLLPRI };

	return mount_table < 0 || poll(&table, 1, 0) > 0;
}

/* Mounts that a case left would keep the filesystem busy: the last made goes first. */
static void unmount_foreign(void)
{
	char last[PATH_MAX];
	int tries;

	for (tries = 0; tries < MOUNTS_MAX && mounts_changed(); tries++) {
		last[0] = '\0';
		each_mount(note_foreign, last);
		if (!last[0] || umount2(last, UMOUNT_NOFOLLOW))
			return;
		say("left mount %s", last);
	}
}

static bool prepare_target(void)
{
	if (!*asked.fs)
		return true;
	if (mount_target()) {
		say("mount error %s %s", error_name(errno), asked.fs);
		return false;
	}
	say("mount ok %s", asked.fs);
	target_mounted = true;
	mounts_changed();
	return true;
}

/* Running */

struct job {
	const char *program;	/* NULL: the rehearsal */
	const char *argument[2];
	double seconds;
	char *variables[VARIABLES_MAX + 1];
	int input;	/* what the host's answers are written to; -1: its input is empty */
};

enum ending { ENDED, TIMED_OUT, STOPPED };

/* ``control`` is the program's end of a wire on which it hears its arguments, -1 when it gets them at once. */
static void enter_program(const struct job *job, int input, int output, int control)
{
	char path[512], fs[64], device[96], waits[32];
	char *argv[] = { path, (char *)job->argument[0], (char *)job->argument[1], NULL };
	char *envp[8 + 2 * VARIABLES_MAX] = { "PATH=/bin", "HOME=/", "TMPDIR=/tmp", "LC_ALL=C", fs, device };
	char **next = envp + 6;
	sigset_t none;
	int i;

	for (i = 0; job->variables[i]; i++)
		*next++ = job->variables[i];
	for (i = 0; i < VARIABLES_MAX && *asked.variables[i]; i++)
		*next++ = asked.variables[i];
	if (control >= 0)
		*next++ = waits;
	snprintf(path, sizeof(path), CASES "%s", job->program);
	snprintf(fs, sizeof(fs), "LAB_FS=%s", asked.fs);
	snprintf(device, sizeof(device), "LAB_DEVICE=%s", asked.device);
	snprintf(waits, sizeof(waits), "LAB_WAITS=%d", WAITING_FD);
	setsid();
	dup2(input, STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	if (control >= 0) {
		dup2(control, WAITING_FD);
		fcntl(WAITING_FD, F_SETFD, 0);
	}
	close_range(control >= 0 ? WAITING_FD + 1 : STDERR_FILENO + 1, ~0U, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (!job->program)
		_exit(rehearse(TARGET));
	if (chdir(TARGET) == 0)
		execve(path, argv, envp);
	dprintf(STDERR_FILENO, "# cannot run %s: %s\n", path, strerror(errno));
	_exit(127);
}

/* Who is told variables of its own may ask the host for something, and gets the answer as input. */
static int open_input(struct job *job)
{
	int ends[2];

	job->input = -1;
	if (!job->variables[0])
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (pipe2(ends, O_CLOEXEC))
		give_up("pipe");
	job->input = ends[1];
	return ends[0];
}

static pid_t start_program(struct job *job, int *output, int control)
{
	int ends[2], input = open_input(job);
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		give_up("pipe");
	pid = fork();
	if (pid < 0)
		give_up("fork");
	if (!pid)
		enter_program(job, input, ends[1], control);
	close(ends[1]);
	close(input);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	*output = ends[0];
	return pid;
}

static bool start_waiting(const char *program)
{
	struct job job = { .program = program };
	struct waiting *one = free_waiting();
	int ends[2];

	if (!one || strlen(program) >= sizeof(one->program) || find_waiting(program) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return false;
	strcpy(one->program, program);
	one->control = ends[0];
	one->pid = start_program(&job, &one->output, ends[1]);
	close(ends[1]);
	if (has_arrived(one))
		return true;
	dismiss(one);
	return false;
}

/* The case's program: the one that waits for it, or else a new one. */
static pid_t get_program(struct job *job, int *output)
{
	/* Who is told variables of its own has to be started with them. */
	struct waiting *one = job->program && !job->variables[0] ? find_waiting(job->program) : NULL;
	pid_t pid = one ? one->pid : 0;

	job->input = -1;
	dismiss_others(one);
	if (one)
		*output = one->output;
	if (one && release(one, job->argument[0], job->argument[1]))
		return pid;
	if (one)
		close(*output);
	return start_program(job, output, -1);
}

/* Each line of a case's output goes out behind a mark: none looks like the agent's own word. */
struct relay {
	char text[OUTPUT_MAX];
	size_t length;
	bool within_line;
};

static void relay_out(struct relay *relay, size_t length, bool whole)
{
	char frame[OUTPUT_MAX + 2];

	frame[0] = whole ? '|' : '+';
	memcpy(frame + 1, relay->text, length);
	frame[length + 1] = '\n';
	send_all(frame, length + 2);
}

static void relay_lines(struct relay *relay)
{
	char *end;

	while ((end = memchr(relay->text, '\n', relay->length))) {
		size_t length = end - relay->text;

		relay_out(relay, length, true);
		relay->length -= length + 1;
		memmove(relay->text, end + 1, relay->length);
		relay->within_line = false;
	}
	if (relay->length == sizeof(relay->text)) {
		relay_out(relay, relay->length, false);
		relay->length = 0;
		relay->within_line = true;
	}
}

/* Passes on some of what there is: heart beats must not wait for a flood to end. */
static bool relay_some(struct relay *relay, int output)
{
	int rounds;

	for (rounds = 0; rounds < 16; rounds++) {
		size_t room = sizeof(relay->text) - relay->length;
		ssize_t got = read(output, relay->text + relay->length, room);

		if (got <= 0)
			return got < 0 && errno == EAGAIN;
		relay->length += got;
		relay_lines(relay);
	}
	return true;
}

static void relay_available(struct relay *relay, int output)
{
	int rounds;

	for (rounds = 0; rounds < 64; rounds++) {
		struct pollfd ready = { .fd = output, .events = POLLIN };

		if (poll(&ready, 1, 0) <= 0 || !(ready.revents & POLLIN))
			break;
		if (!relay_some(relay, output))
			break;
	}
}

/* All writers are dead: the pipe's last contents are all that can come. */
static void relay_rest(struct relay *relay, int output)
{
	relay_available(relay, output);
	if (relay->length || relay->within_line)
		relay_out(relay, relay->length, true);
}

/* Collects every dead child; true once ``wanted`` is among them. */
static bool reap(pid_t wanted, int *status)
{
	bool found = false;
	int how;
	pid_t pid;

	while ((pid = waitpid(-1, &how, WNOHANG | __WALL)) > 0) {
		if (pid == wanted) {
			*status = how;
			found = true;
		}
	}
	return found;
}

static void read_commands(void)
{
	ssize_t got;

	if (commands.length == sizeof(commands.text))
		commands.length = 0;
	got = read(port, commands.text + commands.length, sizeof(commands.text) - commands.length);
	if (got > 0)
		commands.length += got;
}

/* Moves the first whole line out of what was read. */
static bool next_command(char line[sizeof(commands.text)])
{
	char *end = memchr(commands.text, '\n', commands.length);
	size_t length;

	if (!end)
		return false;
	length = end - commands.text;
	memcpy(line, commands.text, length);
	line[length] = '\0';
	commands.length -= length + 1;
	memmove(commands.text, end + 1, commands.length);
	return true;
}

/* What the host says while a case runs; true when it is to end. */
static bool obey_meanwhile(const struct job *job)
{
	char line[sizeof(commands.text)];
	bool stop = false;

	read_commands();
	while (next_command(line)) {
		if (!strcmp(line, "end"))
			stop = true;
		else if (!strcmp(line, "go") && job->input >= 0)
			write(job->input, "\n", 1);
		else
			say("unknown %s", line);
	}
	return stop;
}

static enum ending follow(pid_t pid, const struct job *job, struct relay *relay, int output, int *status)
{
	long long start = now_ms(), beat = start, end = start + (long long)(job->seconds * 1000);
	struct pollfd ready[] = { { .fd = output, .events = POLLIN }, { .fd = port, .events = POLLIN } };
	sigset_t mask;

	sigemptyset(&mask);
	while (!reap(pid, status)) {
		struct timespec wait = { .tv_nsec = BEAT_MS * 1000000L };

		if (ppoll(ready, ARRAY_SIZE(ready), &wait, &mask) > 0) {
			if (ready[0].revents && !relay_some(relay, output))
				ready[0].fd = -1;
			if (ready[1].revents & POLLIN && obey_meanwhile(job))
				return STOPPED;
			/* A host that went away, or one that never speaks, must not make this spin. */
			if (ready[1].revents & ~POLLIN)
				ready[1].fd = -1;
		}
		if (now_ms() >= beat + BEAT_MS) {
			beat = now_ms();
			say("beat %lld", beat);
		}
		if (now_ms() >= end)
			return TIMED_OUT;
	}
	return ENDED;
}

static void show_tasks(void)
{
	log_kernel("the case did not end in its time: blocked tasks, then all");
	write_file("/proc/sysrq-trigger", "w");
	write_file("/proc/sysrq-trigger", "t");
}

/* Ends all that still runs. Who does not die of SIGKILL within the grace is stuck in the kernel. */
static void kill_leftovers(void)
{
	long long end = now_ms() + grace_ms();
	int count = 0;

	kill(-1, SIGKILL);
	for (;;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG | __WALL);

		if (pid < 0)
			break;
		count += pid > 0;
		if (pid > 0)
			continue;
		if (now_ms() > end) {
			say("left stuck");
			break;
		}
		usleep(2000);
	}
	if (count)
		say("left tasks %d", count);
}

static void say_ending(enum ending how, int status)
{
	if (how == TIMED_OUT)
		say("timeout");
	else if (how == STOPPED)
		say("stopped");
	else if (WIFSIGNALED(status))
		say("signal %d", WTERMSIG(status));
	else
		say("exit %d", WEXITSTATUS(status));
}

static void serve(const bool *until);

/*
 * The host may look at the guest as the case left it, and save it, before what still runs is ended and the filesystem
 * unmounted: ``clean`` is its word to go on.
 */
static void let_host_look(void)
{
	if (!hold)
		return;
	hold = false;
	say("held");
	held = true;
	serve(&held);
}

static void run_program(struct job *job)
{
	struct relay relay = { .length = 0 };
	int output, status = 0;
	enum ending how;
	pid_t pid;

	pid = get_program(job, &output);
	how = follow(pid, job, &relay, output, &status);
	if (how == TIMED_OUT)
		show_tasks();
	relay_available(&relay, output);
	say_ending(how, status);
	let_host_look();
	kill_leftovers();
	relay_rest(&relay, output);
	close(output);
	if (job->input >= 0)
		close(job->input);
}

static void say_beat(void)
{
	say("beat %lld", now_ms());
}

static void release_target(void)
{
	if (!*asked.fs)
		return;
	unmount_foreign();
	if (unmount_target()) {
		say("unmount error %s", error_name(errno));
		return;
	}
	target_mounted = false;
	say("unmount ok");
}

static void run_case(const char *program, const char *test, double seconds, char *variables)
{
	struct job job = { .program = program, .seconds = seconds };
	int i;

	for (i = 0; i < VARIABLES_MAX && variables; i++)
		job.variables[i] = strsep(&variables, " ");
	if (test && strcmp(test, "-")) {
		/* "fixture.variant.test" names exactly one; a bare name is that test of any fixture. */
		job.argument[0] = strchr(test, '.') ? "-r" : "-t";
		job.argument[1] = test;
	}
	if (*asked.fs && !target_mounted && !prepare_target()) {
		say("done");
		return;
	}
	log_kernel("case begins: %s %s", program, test ? test : "");
	say("begin %s %s", program, test ? test : "");
	run_program(&job);
	release_target();
	find_leaks(say_beat);
	say("done");
}

/* Btrfs remembers each filesystem that it mounted, and refuses an older state of it on the same device. */
static void forget_devices(void)
{
	struct btrfs_ioctl_vol_args all = { .name = "" };
	int control = open("/dev/btrfs-control", O_RDWR | O_CLOEXEC);

	ioctl(control, BTRFS_IOC_FORGET_DEV, &all);
	close(control);
}

/*
 * Whoever forks a guest in the middle of its run has what ran before ready at hand. So all that is done around a case
 * is done once, and the guest is as it was: its filesystem mounted, nothing on it; or never mounted.
 */
static void rehearse_case(void)
{
	struct job job = { .seconds = 10 };
	bool mounted = target_mounted;

	if (*asked.fs && !mounted && !prepare_target()) {
		say("rehearsed error");
		return;
	}
	log_kernel("rehearsal");
	say("begin rehearsal");
	run_program(&job);
	release_target();
	if (!mounted)
		forget_devices();
	say(!target_mounted && (!mounted || prepare_target()) ? "rehearsed ok" : "rehearsed error");
}

static void list_tests(const char *program)
{
	struct job job = { .program = program, .argument = { "-l" }, .seconds = 10 };

	say("begin %s", program);
	run_program(&job);
	say("done");
}

/* By hand */

static void open_shell(void)
{
	const char *envp[] = { "PATH=/bin", "HOME=/", "TERM=vt100", "PS1=lab:\\w# ", NULL };
	sigset_t none;
	int tty;

	if (fork())
		return;
	setsid();
	tty = open(CONSOLE, O_RDWR);
	ioctl(tty, TIOCSCTTY, 0);
	dup2(tty, STDIN_FILENO);
	dup2(tty, STDOUT_FILENO);
	dup2(tty, STDERR_FILENO);
	close_range(STDERR_FILENO + 1, ~0U, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (chdir(TARGET) == 0)
		execle("/bin/sh", "sh", "-i", NULL, envp);
	_exit(127);
}

static void set_clock(const char *seconds)
{
	double time = seconds ? strtod(seconds, NULL) : 0;
	struct timeval tv = { .tv_sec = (time_t)time, .tv_usec = (time - (time_t)time) * 1e6 };

	if (time > 0)
		settimeofday(&tv, NULL);
}

/* Guests resumed from one saved state would draw the same random numbers: the host gives each 32 bytes, in hex. */
static void seed(const char *text)
{
	struct {
		struct rand_pool_info info;
		unsigned char data[32];
	} pool = { .info = { .entropy_count = 256, .buf_size = 32 } };
	int sink = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
	size_t i;

	for (i = 0; text && i < sizeof(pool.data) && text[2 * i] && text[2 * i + 1]; i++) {
		char digits[] = { text[2 * i], text[2 * i + 1], '\0' };

		pool.data[i] = strtoul(digits, NULL, 16);
	}
	ioctl(sink, RNDADDENTROPY, &pool);
	ioctl(sink, RNDRESEEDCRNG);
	close(sink);
}

static void keep_waiting(const char *program)
{
	say(start_waiting(program) ? "waits ok %s" : "waits error %s", program);
}

static void obey(char *line)
{
	char *verb = strsep(&line, " ");
	char *first = strsep(&line, " "), *second = strsep(&line, " "), *third = strsep(&line, " ");

	if (!strcmp(verb, "run") && second && !held)
		run_case(second, third, strtod(first, NULL), line);
	else if (!strcmp(verb, "list") && first)
		list_tests(first);
	else if (!strcmp(verb, "wait") && first)
		keep_waiting(first);
	else if (!strcmp(verb, "rehearse"))
		rehearse_case();
	else if (!strcmp(verb, "hold"))
		hold = true;
	else if (!strcmp(verb, "clean"))
		held = false;
	else if (!strcmp(verb, "clock"))
		set_clock(first);
	else if (!strcmp(verb, "seed"))
		seed(first);
	else if (!strcmp(verb, "shell"))
		open_shell();
	else if (!strcmp(verb, "quit"))
		power_off();
	else
		say("unknown %s", verb);
}

/* Obeys commands as long as ``*until`` is set, for ever without it. */
static void serve(const bool *until)
{
	char line[sizeof(commands.text)];
	sigset_t mask;

	sigemptyset(&mask);
	while (!until || *until) {
		struct pollfd ready = { .fd = port, .events = POLLIN };
		int status;

		if (next_command(line)) {
			obey(line);
			continue;
		}
		/* A host that went away hangs up (a saved guest has none): do not spin. */
		if (ppoll(&ready, 1, NULL, &mask) > 0 && !(ready.revents & POLLIN))
			usleep(10000);
		/* What a case leaves is counted when it is cleaned up. */
		if (!until)
			reap(-1, &status);
		if (ready.revents & POLLIN)
			read_commands();
	}
}

static void child_died(int signal)
{
}

/* A case that ends must wake the poll at once: SIGCHLD is let in only there. */
static void watch_children(void)
{
	struct sigaction action = { .sa_handler = child_died };
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	sigaction(SIGCHLD, &action, NULL);
}

/* lab.run=<seconds>,<program>,<test>: a guest that is recorded takes no input. */
static void run_asked(void)
{
	char *rest = asked.run;
	char *seconds = strsep(&rest, ",");
	char *program = strsep(&rest, ",");
	char *test = strsep(&rest, ",");

	if (program)
		run_case(program, test, strtod(seconds, NULL), NULL);
	power_off();
}

int main(void)
{
	struct utsname name;

	mount_system();
	set_sysctls();
	read_command_line();
	watch_children();
	umask(022);
	mkdir(TARGET, 0755);
	if (!make_memory_disk())
		give_up("the disk in memory");
	open_port();
	uname(&name);
	say("hello %d %s", PROTOCOL, name.release);
	each_mount(remember_mount, NULL);
	mount_table = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (!*asked.later && !prepare_target())
		power_off();
	say("ready %lld", now_ms());
	if (*asked.run)
		run_asked();
	serve(NULL);
}
