// SPDX-License-Identifier: GPL-2.0
/*
 * ckptinfo: the records of a checkpoint image, one a line:
 *
 *	<offset> <type> <length> <field>=<value> ...
 *
 * An image may come from anywhere. No length in it is trusted, and text is
 * printed escaped.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COMPLETE = 0, DAMAGED = 1, WRONG_USE = 2 };

#if __has_include(<linux/checkpoint.h>)
#include <linux/checkpoint.h>

/* More than the longest record (a group of pages); less than would hurt. */
#define RECORD_MAX (1U << 20)

enum format { END, DECIMAL, HEX, MODE, TEXT, BYTES };

struct field {
	const char *name;
	enum format format;
	size_t offset;
	size_t size;
};

/* A record type: its name, the bytes it has at least, its fields, and whether text follows. */
struct record_type {
	unsigned int type;
	const char *name;
	size_t least;
	const struct field *fields;
	const char *text;	/* name of the text behind the fields */
};

#define FIELD(record, member, format) \
	{ #member, format, offsetof(struct record, member), sizeof(((struct record *)0)->member) }
#define FIELDS(...) ((const struct field[]){ __VA_ARGS__, { NULL, END, 0, 0 } })
#define NO_FIELDS ((const struct field[]){ { NULL, END, 0, 0 } })

static const struct record_type record_types[] = {
	{ CKPT_HDR_HEADER, "header", sizeof(struct ckpt_hdr_header),
	  FIELDS(FIELD(ckpt_hdr_header, magic, HEX), FIELD(ckpt_hdr_header, version, DECIMAL),
		 FIELD(ckpt_hdr_header, arch, DECIMAL), FIELD(ckpt_hdr_header, page_size, DECIMAL),
		 FIELD(ckpt_hdr_header, uflags, HEX), FIELD(ckpt_hdr_header, ktime_begin, DECIMAL),
		 FIELD(ckpt_hdr_header, time, DECIMAL), FIELD(ckpt_hdr_header, release, TEXT),
		 FIELD(ckpt_hdr_header, kversion, TEXT)), NULL },
	{ CKPT_HDR_HEADER_ARCH, "header-arch", sizeof(struct ckpt_hdr_header_arch),
	  FIELDS(FIELD(ckpt_hdr_header_arch, xfeatures, HEX), FIELD(ckpt_hdr_header_arch, xstate_size, DECIMAL),
		 FIELD(ckpt_hdr_header_arch, vdso_size, DECIMAL), FIELD(ckpt_hdr_header_arch, vvar_size, DECIMAL),
		 FIELD(ckpt_hdr_header_arch, vdso_crc, HEX)), NULL },
	{ CKPT_HDR_TAIL, "tail", sizeof(struct ckpt_hdr_tail),
	  FIELDS(FIELD(ckpt_hdr_tail, magic, HEX)), NULL },
	{ CKPT_HDR_ERROR, "error", sizeof(struct ckpt_hdr_error),
	  FIELDS(FIELD(ckpt_hdr_error, err, DECIMAL)), "text" },
	{ CKPT_HDR_TREE, "tree", sizeof(struct ckpt_hdr_tree),
	  FIELDS(FIELD(ckpt_hdr_tree, nr_procs, DECIMAL)), NULL },
	{ CKPT_HDR_PROC, "proc", sizeof(struct ckpt_hdr_proc),
	  FIELDS(FIELD(ckpt_hdr_proc, pid, DECIMAL), FIELD(ckpt_hdr_proc, tgid, DECIMAL),
		 FIELD(ckpt_hdr_proc, ppid, DECIMAL), FIELD(ckpt_hdr_proc, pgid, DECIMAL),
		 FIELD(ckpt_hdr_proc, sid, DECIMAL), FIELD(ckpt_hdr_proc, flags, HEX),
		 FIELD(ckpt_hdr_proc, exit_signal, DECIMAL), FIELD(ckpt_hdr_proc, exit_code, HEX)), NULL },
	{ CKPT_HDR_TASK, "task", sizeof(struct ckpt_hdr_task),
	  FIELDS(FIELD(ckpt_hdr_task, pid, DECIMAL), FIELD(ckpt_hdr_task, flags, HEX),
		 FIELD(ckpt_hdr_task, comm, TEXT), FIELD(ckpt_hdr_task, personality, HEX),
		 FIELD(ckpt_hdr_task, clear_child_tid, HEX), FIELD(ckpt_hdr_task, robust_list, HEX),
		 FIELD(ckpt_hdr_task, rseq, HEX), FIELD(ckpt_hdr_task, rseq_len, DECIMAL),
		 FIELD(ckpt_hdr_task, rseq_sig, HEX), FIELD(ckpt_hdr_task, fs_objref, DECIMAL),
		 FIELD(ckpt_hdr_task, files_objref, DECIMAL), FIELD(ckpt_hdr_task, mm_objref, DECIMAL)), NULL },
	{ CKPT_HDR_CRED, "cred", sizeof(struct ckpt_hdr_cred),
	  FIELDS(FIELD(ckpt_hdr_cred, uid, DECIMAL), FIELD(ckpt_hdr_cred, euid, DECIMAL),
		 FIELD(ckpt_hdr_cred, gid, DECIMAL), FIELD(ckpt_hdr_cred, egid, DECIMAL),
		 FIELD(ckpt_hdr_cred, cap_permitted, HEX), FIELD(ckpt_hdr_cred, cap_effective, HEX),
		 FIELD(ckpt_hdr_cred, securebits, HEX), FIELD(ckpt_hdr_cred, ngroups, DECIMAL)), NULL },
	{ CKPT_HDR_RESTART_BLOCK, "restart-block", sizeof(struct ckpt_hdr_restart_block),
	  FIELDS(FIELD(ckpt_hdr_restart_block, kind, DECIMAL), FIELD(ckpt_hdr_restart_block, flags, HEX),
		 FIELD(ckpt_hdr_restart_block, addr, HEX), FIELD(ckpt_hdr_restart_block, time, DECIMAL),
		 FIELD(ckpt_hdr_restart_block, val, HEX), FIELD(ckpt_hdr_restart_block, bitset, HEX)), NULL },
	{ CKPT_HDR_ITIMERS, "itimers", sizeof(struct ckpt_hdr_itimers),
	  FIELDS(FIELD(ckpt_hdr_itimers, timer[0].value, DECIMAL), FIELD(ckpt_hdr_itimers, timer[0].interval, DECIMAL),
		 FIELD(ckpt_hdr_itimers, timer[1].value, DECIMAL), FIELD(ckpt_hdr_itimers, timer[1].interval, DECIMAL),
		 FIELD(ckpt_hdr_itimers, timer[2].value, DECIMAL), FIELD(ckpt_hdr_itimers, timer[2].interval, DECIMAL)),
	  NULL },
	{ CKPT_HDR_SIGPENDING, "sigpending", sizeof(struct ckpt_hdr_sigpending),
	  FIELDS(FIELD(ckpt_hdr_sigpending, nr, DECIMAL), FIELD(ckpt_hdr_sigpending, shared, DECIMAL)), NULL },
	{ CKPT_HDR_RLIMITS, "rlimits", sizeof(struct ckpt_hdr_rlimits), NO_FIELDS, NULL },
	{ CKPT_HDR_SIGHAND, "sighand", sizeof(struct ckpt_hdr_sighand), NO_FIELDS, NULL },
	{ CKPT_HDR_SIGNAL, "signal", sizeof(struct ckpt_hdr_signal),
	  FIELDS(FIELD(ckpt_hdr_signal, blocked, HEX), FIELD(ckpt_hdr_signal, sas_ss_sp, HEX),
		 FIELD(ckpt_hdr_signal, sas_ss_size, DECIMAL), FIELD(ckpt_hdr_signal, sas_ss_flags, HEX)), NULL },
	{ CKPT_HDR_CPU, "cpu", sizeof(struct ckpt_hdr_cpu),
	  FIELDS(FIELD(ckpt_hdr_cpu, ip, HEX), FIELD(ckpt_hdr_cpu, sp, HEX), FIELD(ckpt_hdr_cpu, bp, HEX),
		 FIELD(ckpt_hdr_cpu, flags, HEX), FIELD(ckpt_hdr_cpu, ax, HEX), FIELD(ckpt_hdr_cpu, orig_ax, HEX),
		 FIELD(ckpt_hdr_cpu, di, HEX), FIELD(ckpt_hdr_cpu, si, HEX), FIELD(ckpt_hdr_cpu, dx, HEX),
		 FIELD(ckpt_hdr_cpu, fs_base, HEX), FIELD(ckpt_hdr_cpu, gs_base, HEX)), NULL },
	{ CKPT_HDR_CPU_XSTATE, "cpu-xstate", sizeof(struct ckpt_hdr_cpu_xstate), NO_FIELDS, NULL },
	{ CKPT_HDR_FILE, "file", sizeof(struct ckpt_hdr_file),
	  FIELDS(FIELD(ckpt_hdr_file, objref, DECIMAL), FIELD(ckpt_hdr_file, f_type, DECIMAL),
		 FIELD(ckpt_hdr_file, f_mode, HEX), FIELD(ckpt_hdr_file, f_flags, HEX),
		 FIELD(ckpt_hdr_file, f_pos, DECIMAL), FIELD(ckpt_hdr_file, i_mode, MODE),
		 FIELD(ckpt_hdr_file, i_rdev, HEX), FIELD(ckpt_hdr_file, f_restart_flags, HEX)), NULL },
	{ CKPT_HDR_FNAME, "fname", sizeof(struct ckpt_hdr_fname), NO_FIELDS, "name" },
#ifdef RESTART_FILE_F_UNLINK /* checkpoint-relink */
	{ CKPT_HDR_INODE, "inode", sizeof(struct ckpt_hdr_inode),
	  FIELDS(FIELD(ckpt_hdr_inode, ino, DECIMAL), FIELD(ckpt_hdr_inode, generation, HEX),
		 FIELD(ckpt_hdr_inode, uuid, BYTES)), NULL },
#endif
	{ CKPT_HDR_FDTABLE, "fdtable", sizeof(struct ckpt_hdr_fdtable),
	  FIELDS(FIELD(ckpt_hdr_fdtable, nr_fds, DECIMAL)), NULL },
	{ CKPT_HDR_FD, "fd", sizeof(struct ckpt_hdr_fd),
	  FIELDS(FIELD(ckpt_hdr_fd, fd, DECIMAL), FIELD(ckpt_hdr_fd, objref, DECIMAL),
		 FIELD(ckpt_hdr_fd, flags, HEX)), NULL },
	{ CKPT_HDR_FS, "fs", sizeof(struct ckpt_hdr_fs),
	  FIELDS(FIELD(ckpt_hdr_fs, umask, MODE), FIELD(ckpt_hdr_fs, pwd_objref, DECIMAL),
		 FIELD(ckpt_hdr_fs, root_objref, DECIMAL)), NULL },
	{ CKPT_HDR_MM, "mm", sizeof(struct ckpt_hdr_mm),
	  FIELDS(FIELD(ckpt_hdr_mm, nr_vmas, DECIMAL), FIELD(ckpt_hdr_mm, exe_objref, DECIMAL),
		 FIELD(ckpt_hdr_mm, start_code, HEX), FIELD(ckpt_hdr_mm, end_code, HEX),
		 FIELD(ckpt_hdr_mm, start_data, HEX), FIELD(ckpt_hdr_mm, end_data, HEX),
		 FIELD(ckpt_hdr_mm, start_brk, HEX), FIELD(ckpt_hdr_mm, brk, HEX),
		 FIELD(ckpt_hdr_mm, start_stack, HEX), FIELD(ckpt_hdr_mm, mmap_base, HEX),
		 FIELD(ckpt_hdr_mm, vdso, HEX), FIELD(ckpt_hdr_mm, flags, HEX)), NULL },
	{ CKPT_HDR_VMA, "vma", sizeof(struct ckpt_hdr_vma),
	  FIELDS(FIELD(ckpt_hdr_vma, start, HEX), FIELD(ckpt_hdr_vma, end, HEX),
		 FIELD(ckpt_hdr_vma, vma_type, DECIMAL), FIELD(ckpt_hdr_vma, flags, HEX),
		 FIELD(ckpt_hdr_vma, objref, DECIMAL), FIELD(ckpt_hdr_vma, pgoff, DECIMAL)), NULL },
	{ CKPT_HDR_SHMEM, "shmem", sizeof(struct ckpt_hdr_shmem),
	  FIELDS(FIELD(ckpt_hdr_shmem, size, DECIMAL), FIELD(ckpt_hdr_shmem, flags, HEX)), NULL },
	{ CKPT_HDR_PAGES, "pages", sizeof(struct ckpt_hdr_pages),
	  FIELDS(FIELD(ckpt_hdr_pages, addr, HEX), FIELD(ckpt_hdr_pages, nr_pages, DECIMAL)), NULL },
#ifdef CKPT_FILE_PIPE /* a series that has them */
	{ CKPT_HDR_PIPE, "pipe", sizeof(struct ckpt_hdr_pipe),
	  FIELDS(FIELD(ckpt_hdr_pipe, objref, DECIMAL), FIELD(ckpt_hdr_pipe, flags, HEX),
		 FIELD(ckpt_hdr_pipe, size, DECIMAL)), NULL },
	{ CKPT_HDR_PIPE_BUF, "pipe-buf", sizeof(struct ckpt_hdr_pipe_buf),
	  FIELDS(FIELD(ckpt_hdr_pipe_buf, nr_bytes, DECIMAL), FIELD(ckpt_hdr_pipe_buf, flags, HEX)), NULL },
#endif
#ifdef CKPT_FILE_EVENTFD
	{ CKPT_HDR_EVENTFD, "eventfd", sizeof(struct ckpt_hdr_eventfd),
	  FIELDS(FIELD(ckpt_hdr_eventfd, count, DECIMAL), FIELD(ckpt_hdr_eventfd, flags, HEX)), NULL },
#endif
};

/* The image as it is read: how far, and what is wrong with it. */
struct reader {
	int fd;
	uint64_t offset;
	bool damaged;
};

__attribute__((format(printf, 2, 3)))
static void complain(struct reader *reader, const char *format, ...)
{
	va_list arguments;

	reader->damaged = true;
	fflush(stdout);
	fprintf(stderr, "ckptinfo: at %llu: ", (unsigned long long)reader->offset);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

/* Bytes read: fewer than asked for only at the end. */
static ssize_t read_fully(int fd, void *to, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t got = read(fd, (char *)to + done, size - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (!got)
			break;
		done += got;
	}
	return done;
}

static void print_text(const unsigned char *text, size_t size)
{
	putchar('"');
	for (size_t i = 0; i < size && text[i]; i++) {
		if (isprint(text[i]) && text[i] != '"' && text[i] != '\\')
			putchar(text[i]);
		else
			printf("\\x%02x", text[i]);
	}
	putchar('"');
}

static unsigned long long number_at(const unsigned char *at, size_t size)
{
	uint32_t word;
	uint64_t both;

	if (size == sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		return word;
	}
	memcpy(&both, at, sizeof(both));
	return both;
}

static void print_field(const struct field *field, const unsigned char *record)
{
	const unsigned char *at = record + field->offset;

	printf(" %s=", field->name);
	switch (field->format) {
	case TEXT:
		print_text(at, field->size);
		break;
	case BYTES:
		for (size_t i = 0; i < field->size; i++)
			printf("%02x", at[i]);
		break;
	case HEX:
		printf("%#llx", number_at(at, field->size));
		break;
	case MODE:
		printf("%#llo", number_at(at, field->size));
		break;
	default:
		printf("%lld", field->size == sizeof(int32_t) ? (long long)(int32_t)number_at(at, field->size) :
								(long long)number_at(at, field->size));
	}
}

/*
 * Who shares what: a file is an object, known by its number, and others refer
 * to it. Kept for -o, as far as there is room.
 */
#define OBJECTS_MAX 1024

struct object {
	uint32_t number;
	uint32_t restart_flags;
	uint32_t pipe;		/* of which it is an end, or 0 */
	uint64_t offset;
	char name[256];
	char users[256];
};

static struct {
	struct object object[OBJECTS_MAX];
	size_t count;
	bool more;		/* than there is room for */
	struct object *last;	/* whose name is to come */
} objects;

static struct object *object_of(uint32_t number)
{
	for (size_t i = 0; i < objects.count; i++)
		if (objects.object[i].number == number)
			return &objects.object[i];
	return NULL;
}

__attribute__((format(printf, 2, 3)))
static void note_user(uint32_t number, const char *format, ...)
{
	struct object *object = object_of(number);
	size_t used = object ? strlen(object->users) : 0;
	va_list arguments;

	if (!object)
		return;
	va_start(arguments, format);
	vsnprintf(object->users + used, sizeof(object->users) - used, format, arguments);
	va_end(arguments);
}

static void note_file(const struct reader *reader, const unsigned char *record)
{
	struct ckpt_hdr_file file;
	struct object *object;

	memcpy(&file, record, sizeof(file));
	objects.last = NULL;
	if (objects.count == OBJECTS_MAX) {
		objects.more = true;
		return;
	}
	object = objects.last = &objects.object[objects.count++];
	object->number = file.objref;
	object->restart_flags = file.f_restart_flags;
	object->offset = reader->offset;
}

static void note_name(const unsigned char *record, size_t length)
{
	size_t size = length - sizeof(struct ckpt_hdr_fname);

	if (!objects.last)
		return;
	if (size > sizeof(objects.last->name) - 1)
		size = sizeof(objects.last->name) - 1;
	memcpy(objects.last->name, record + sizeof(struct ckpt_hdr_fname), size);
}

#ifdef CKPT_FILE_PIPE
/* Ends of one pipe have its number in common. */
static void note_pipe(const unsigned char *record)
{
	struct ckpt_hdr_pipe pipe;

	memcpy(&pipe, record, sizeof(pipe));
	if (objects.last)
		objects.last->pipe = pipe.objref;
}
#endif

static void note_vma(const unsigned char *record)
{
	struct ckpt_hdr_vma vma;

	memcpy(&vma, record, sizeof(vma));
	note_user(vma.objref, " mapped at %#llx", (unsigned long long)vma.start);
}

static void note_descriptor(const unsigned char *record)
{
	struct ckpt_hdr_fd fd;

	memcpy(&fd, record, sizeof(fd));
	note_user(fd.objref, " fd %d", fd.fd);
}

/* Notes of a record that has at least the bytes of its type. */
static void note_record(const struct reader *reader, const unsigned char *record, const struct ckpt_hdr *head)
{
	struct ckpt_hdr_fs fs;
	struct ckpt_hdr_mm mm;

	switch (head->type) {
	case CKPT_HDR_FILE:
		note_file(reader, record);
		break;
	case CKPT_HDR_FNAME:
		note_name(record, head->len);
		break;
#ifdef CKPT_FILE_PIPE
	case CKPT_HDR_PIPE:
		note_pipe(record);
		break;
#endif
	case CKPT_HDR_FD:
		note_descriptor(record);
		break;
	case CKPT_HDR_VMA:
		note_vma(record);
		break;
	case CKPT_HDR_FS:
		memcpy(&fs, record, sizeof(fs));
		note_user(fs.pwd_objref, " cwd");
		note_user(fs.root_objref, " root");
		break;
	case CKPT_HDR_MM:
		memcpy(&mm, record, sizeof(mm));
		note_user(mm.exe_objref, " program");
		break;
	}
}

static void print_objects(void)
{
	puts("object  at          name, and who holds it");
	for (size_t i = 0; i < objects.count; i++) {
		const struct object *object = &objects.object[i];

		printf("%6u  %-10llu  ", object->number, (unsigned long long)object->offset);
		print_text((const unsigned char *)object->name, sizeof(object->name));
		if (object->restart_flags)
			printf(" relinked (restart flags %#x)", object->restart_flags);
		if (object->pipe)
			printf(" end of pipe %u", object->pipe);
		printf(":%s\n", *object->users ? object->users : " nobody");
	}
	if (objects.more)
		printf("... and more than %d\n", OBJECTS_MAX);
}

static const struct record_type *type_of(unsigned int type)
{
	for (size_t i = 0; i < sizeof(record_types) / sizeof(record_types[0]); i++)
		if (record_types[i].type == type)
			return &record_types[i];
	return NULL;
}

/* Text runs from the fixed part to its NUL, which must be within the record. */
static void print_trailing_text(struct reader *reader, const struct record_type *type, const unsigned char *record,
				size_t length)
{
	const unsigned char *text = record + type->least;
	size_t size = length - type->least;

	printf(" %s=", type->text);
	print_text(text, size);
	if (!memchr(text, '\0', size))
		complain(reader, "%s of a %s record has no end", type->text, type->name);
}

static void check_magic(struct reader *reader, unsigned int type, const unsigned char *record)
{
	uint64_t magic;

	if (type != CKPT_HDR_HEADER && type != CKPT_HDR_TAIL)
		return;
	magic = number_at(record + sizeof(struct ckpt_hdr), sizeof(magic));
	if (magic != (type == CKPT_HDR_HEADER ? CKPT_MAGIC_HEAD : CKPT_MAGIC_TAIL))
		complain(reader, "wrong magic number %#llx", (unsigned long long)magic);
}

static bool is_long_enough(const struct ckpt_hdr *head)
{
	const struct record_type *type = type_of(head->type);

	return type && head->len >= type->least;
}

static void print_record(struct reader *reader, const unsigned char *record, const struct ckpt_hdr *head)
{
	const struct record_type *type = type_of(head->type);

	if (!type) {
		printf("%10llu type-%u %u\n", (unsigned long long)reader->offset, head->type, head->len);
		return;
	}
	printf("%10llu %s %u", (unsigned long long)reader->offset, type->name, head->len);
	if (head->len < type->least) {
		putchar('\n');
		complain(reader, "a %s record has at least %zu bytes, not %u", type->name, type->least, head->len);
		return;
	}
	for (const struct field *field = type->fields; field->format != END; field++)
		print_field(field, record);
	if (type->text)
		print_trailing_text(reader, type, record, head->len);
	putchar('\n');
	check_magic(reader, head->type, record);
}

/* The next record, at most RECORD_MAX bytes. False at the end, be it a good one or not. */
static bool read_record(struct reader *reader, unsigned char *record, struct ckpt_hdr *head)
{
	ssize_t got = read_fully(reader->fd, head, sizeof(*head));

	if (!got)
		return false;
	if (got < 0) {
		complain(reader, "read: %s", strerror(errno));
		return false;
	}
	if (got < (ssize_t)sizeof(*head)) {
		complain(reader, "%zd bytes are no record", got);
		return false;
	}
	if (head->len < sizeof(*head) || head->len % 8 || head->len > RECORD_MAX) {
		complain(reader, "a record of type %u cannot have %u bytes", head->type, head->len);
		return false;
	}
	memcpy(record, head, sizeof(*head));
	got = read_fully(reader->fd, record + sizeof(*head), head->len - sizeof(*head));
	if (got < 0 || (size_t)got < head->len - sizeof(*head)) {
		complain(reader, "the image ends within a record of type %u", head->type);
		return false;
	}
	return true;
}

/* Prints all records, or those of errors only, and what objects there are. */
static int print_image(int fd, bool errors_only, bool with_objects)
{
	static unsigned char record[RECORD_MAX];
	struct reader reader = { .fd = fd };
	struct ckpt_hdr head;
	unsigned int last = 0;

	while (read_record(&reader, record, &head)) {
		if (!reader.offset && head.type != CKPT_HDR_HEADER) {
			complain(&reader, "not an image: its first record is of type %u", head.type);
			return DAMAGED;
		}
		if (last == CKPT_HDR_TAIL)
			complain(&reader, "a record behind the tail");
		if (!errors_only || head.type == CKPT_HDR_ERROR)
			print_record(&reader, record, &head);
		if (with_objects && is_long_enough(&head))
			note_record(&reader, record, &head);
		last = head.type;
		reader.offset += head.len;
	}
	if (with_objects)
		print_objects();
	if (last != CKPT_HDR_TAIL && !reader.damaged)
		complain(&reader, last == CKPT_HDR_ERROR ? "the checkpoint failed" : "the image has no tail");
	return reader.damaged ? DAMAGED : COMPLETE;
}

#else /* this kernel has no checkpoint(2) */

static int print_image(int fd, bool errors_only, bool with_objects)
{
	(void)fd;
	(void)errors_only;
	(void)with_objects;
	fputs("ckptinfo: built for a kernel without <linux/checkpoint.h>: the format is not known\n", stderr);
	return WRONG_USE;
}

#endif

static int usage(FILE *to, int status)
{
	fputs("usage: ckptinfo [-e] [-o] [IMAGE]\n"
	      "  -e  only the records of errors\n"
	      "  -o  also the files: which were relinked, and who holds them\n"
	      "Exit status 0: the image is complete; 1: it is not; 2: wrong use.\n", to);
	return status;
}

int main(int argc, char **argv)
{
	bool errors_only = false, with_objects = false;
	int fd = STDIN_FILENO;
	int option;

	while ((option = getopt(argc, argv, "eoh")) != -1) {
		if (option == 'h')
			return usage(stdout, COMPLETE);
		if (option == '?')
			return usage(stderr, WRONG_USE);
		errors_only |= option == 'e';
		with_objects |= option == 'o';
	}
	if (optind < argc - 1)
		return usage(stderr, WRONG_USE);
	if (optind == argc - 1)
		fd = open(argv[optind], O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "ckptinfo: %s: %s\n", argv[optind], strerror(errno));
		return WRONG_USE;
	}
	return print_image(fd, errors_only, with_objects);
}
