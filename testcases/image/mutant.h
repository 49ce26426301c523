/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Images changed on purpose, by a number: the same number changes the same
 * image in the same way, whenever and wherever.
 *
 * An image is known as records of {type, len} and no more, so that what later
 * kernels add to it is changed too.
 */
#ifndef LAB_MUTANT_H
#define LAB_MUTANT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS_MAX	4096
#define HEAD		8		/* u32 type, u32 len */
#define BULK		1024		/* longer records are memory: most of it may be anything */
#define TYPE_FNAME	202

struct image {
	unsigned char *data;
	size_t size;
	int count;
	size_t at[RECORDS_MAX + 1];	/* where each record begins; the last is the size */
};

struct mutant {
	unsigned char *data;
	size_t size;
	char told[192];
};

static inline uint32_t word_at(const unsigned char *at)
{
	uint32_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

static inline uint32_t type_of(const struct image *image, int record)
{
	return word_at(image->data + image->at[record]);
}

static inline size_t length_of(const struct image *image, int record)
{
	return image->at[record + 1] - image->at[record];
}

/* Fills in where the records are. False when that is no image. */
static inline bool image_walk(struct image *image)
{
	size_t at = 0;

	for (image->count = 0; at < image->size && image->count < RECORDS_MAX; image->count++) {
		uint32_t length;

		if (image->size - at < HEAD)
			return false;
		length = word_at(image->data + at + 4);
		if (length < HEAD || length % 8 || length > image->size - at)
			return false;
		image->at[image->count] = at;
		at += length;
	}
	image->at[image->count] = at;
	return at == image->size;
}

/* splitmix64 */
static inline uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static inline uint64_t below(uint64_t *state, uint64_t limit)
{
	return limit ? draw(state) % limit : 0;
}

/* Any record, but memory only now and then: there are far too many of those. */
static inline int any_record(const struct image *image, uint64_t *state)
{
	int record = below(state, image->count);

	for (int tries = 0; tries < 8 && length_of(image, record) > BULK; tries++)
		record = below(state, image->count);
	return record;
}

static inline void mutant_copy(struct mutant *mutant, const struct image *image)
{
	memcpy(mutant->data, image->data, image->size);
	mutant->size = image->size;
}

/* Bytes in place of those from @at to @end of the image. */
static inline void mutant_splice(struct mutant *mutant, const struct image *image, size_t at, size_t end,
				 const void *bytes, size_t count)
{
	memcpy(mutant->data, image->data, at);
	memcpy(mutant->data + at, bytes, count);
	memcpy(mutant->data + at + count, image->data + end, image->size - end);
	mutant->size = image->size - (end - at) + count;
}

#define TOLD(mutant, format, ...) snprintf((mutant)->told, sizeof((mutant)->told), format, ##__VA_ARGS__)

static inline void mutate_cut(struct mutant *mutant, const struct image *image, uint64_t number)
{
	static const char *const where[] = { "before", "within the head of", "behind the head of", "at the end of" };
	int record = number / 4 % image->count;
	size_t length = length_of(image, record);
	size_t offsets[] = { 0, 4, HEAD, length - 1 };

	mutant_copy(mutant, image);
	mutant->size = image->at[record] + offsets[number % 4];
	TOLD(mutant, "cut %s record %d (type %u)", where[number % 4], record, type_of(image, record));
}

static inline void mutate_length(struct mutant *mutant, const struct image *image, uint64_t number)
{
	int record = number % image->count;
	uint32_t length = length_of(image, record);
	uint32_t lengths[] = { 0, length + 8, 0xfffffff8, length - 8, 4, 0x7ffffff8, 7, length + 1, 0xffffffff,
			       length - 1, 1U << 20, 1U << 16 };
	uint32_t wrong = lengths[number / image->count % (sizeof(lengths) / sizeof(lengths[0]))];

	if (wrong == length)
		wrong = 0;
	mutant_copy(mutant, image);
	memcpy(mutant->data + image->at[record] + 4, &wrong, sizeof(wrong));
	TOLD(mutant, "record %d (type %u): len %u instead of %u", record, type_of(image, record), wrong, length);
}

static inline void mutate_type(struct mutant *mutant, const struct image *image, uint64_t number)
{
	uint64_t state = number;
	int record = number % image->count;
	uint32_t type = type_of(image, record), wrong = type;

	while (wrong == type)
		wrong = below(&state, 4) ? type_of(image, below(&state, image->count)) : (uint32_t)draw(&state);
	mutant_copy(mutant, image);
	memcpy(mutant->data + image->at[record], &wrong, sizeof(wrong));
	TOLD(mutant, "record %d: type %u instead of %u", record, wrong, type);
}

static inline void mutate_order(struct mutant *mutant, const struct image *image, uint64_t number)
{
	uint64_t state = number;
	int record = any_record(image, &state), other = any_record(image, &state);
	const unsigned char *at = image->data + image->at[record];

	switch (number % 4) {
	case 0:
		mutant_splice(mutant, image, image->at[record], image->at[record + 1], "", 0);
		TOLD(mutant, "record %d (type %u) is left out", record, type_of(image, record));
		break;
	case 1:
		mutant_splice(mutant, image, image->at[record], image->at[record], at, length_of(image, record));
		TOLD(mutant, "record %d (type %u) twice", record, type_of(image, record));
		break;
	case 2:
		mutant_splice(mutant, image, image->at[other], image->at[other], at, length_of(image, record));
		TOLD(mutant, "record %d (type %u) also before record %d", record, type_of(image, record), other);
		break;
	default:
		mutant_splice(mutant, image, image->at[other], image->at[other + 1], at, length_of(image, record));
		TOLD(mutant, "record %d (type %u) in place of record %d (type %u)", record, type_of(image, record), other,
		     type_of(image, other));
	}
}

static inline uint64_t wrong_number(uint64_t *state, uint64_t old)
{
	static const uint64_t numbers[] = { 0, 1, 2, 7, 0x7f, 0xff, 0x1000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
					    0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff,
					    0xfffffffffffff000, 0x7ffffffff000 };

	switch (below(state, 4)) {
	case 0:
		return old ^ 1ULL << below(state, 64);
	case 1:
		return old + (below(state, 2) ? 1 : -1);
	default:
		return numbers[below(state, sizeof(numbers) / sizeof(numbers[0]))];
	}
}

static inline void mutate_field(struct mutant *mutant, const struct image *image, uint64_t number)
{
	uint64_t state = number;
	int record = any_record(image, &state);
	size_t size = below(&state, 3) ? 4 : 8;
	size_t room = (length_of(image, record) - HEAD) / size;
	size_t at = image->at[record] + HEAD + below(&state, room) * size;
	uint64_t old = 0, wrong;

	mutant_copy(mutant, image);
	if (!room) {
		TOLD(mutant, "nothing: record %d has no fields", record);
		return;
	}
	memcpy(&old, image->data + at, size);
	wrong = wrong_number(&state, old);
	memcpy(mutant->data + at, &wrong, size);
	TOLD(mutant, "record %d (type %u): %zu bytes at %zu are %#llx instead of %#llx", record, type_of(image, record), size,
	     at - image->at[record], (unsigned long long)wrong, (unsigned long long)old);
}

/* Which of the records of names; -1 when the image has none. */
static inline int name_record(const struct image *image, uint64_t number)
{
	int names = 0;

	for (int i = 0; i < image->count; i++)
		names += type_of(image, i) == TYPE_FNAME;
	if (!names)
		return -1;
	number %= names;
	for (int i = 0; i < image->count; i++)
		if (type_of(image, i) == TYPE_FNAME && !number--)
			return i;
	return -1;
}

/*
 * A name as its record holds it, filled up with zeros to eight bytes. Hostile
 * ones first, then the old one changed: in its length, its end, or a letter.
 */
static inline size_t wrong_name(char *name, size_t room, const char *old, size_t length, const char *const *hostile,
				int hostile_count, uint64_t *state)
{
	int kind = below(state, hostile_count + 8) - hostile_count;
	size_t used = length;

	memset(name, 0, room);
	if (kind < 0)
		return snprintf(name, room, "%s", hostile[hostile_count + kind]) + 1;
	memcpy(name, old, length);
	switch (kind) {
	case 0:		/* no end */
		memset(name, 'x', used);
		break;
	case 1:		/* as long as a path may be, and one more */
		memset(name, 'x', used = 4096 + 8 * below(state, 2));
		name[0] = '/';
		name[used - 1] = '\0';
		break;
	case 2:		/* empty */
		name[0] = '\0';
		break;
	case 3:		/* no bytes at all */
		used = 0;
		break;
	case 4:		/* relative */
		memmove(name, name + 1, used - 1);
		break;
	case 5:		/* more behind the end */
		memset(name + used, 'y', 64);
		used += 64;
		break;
	case 6:		/* very deep */
		used = 4000;
		for (size_t i = 0; i < used; i += 2)
			memcpy(name + i, "/.", 2);
		name[used - 1] = '\0';
		break;
	default:
		name[below(state, strlen(old) + 1)] ^= 1 << below(state, 8);
	}
	return used;
}

static inline void mutate_name(struct mutant *mutant, const struct image *image, uint64_t number,
			       const char *const *hostile, int hostile_count)
{
	static char bytes[HEAD + 8192];
	int record = name_record(image, number);
	const unsigned char *at;
	uint64_t state = number;
	uint32_t head[2];
	size_t used;

	mutant_copy(mutant, image);
	if (record < 0) {
		TOLD(mutant, "nothing: no record of a name");
		return;
	}
	at = image->data + image->at[record];
	used = wrong_name(bytes + HEAD, sizeof(bytes) - HEAD, (const char *)at + HEAD, length_of(image, record) - HEAD,
			  hostile, hostile_count, &state);
	head[0] = TYPE_FNAME;
	head[1] = HEAD + (used + 7) / 8 * 8;
	memcpy(bytes, head, sizeof(head));
	mutant_splice(mutant, image, image->at[record], image->at[record + 1], bytes, head[1]);
	TOLD(mutant, "record %d: %.60s instead of %.60s", record, bytes + HEAD, at + HEAD);
}

static inline void mutate_blind(struct mutant *mutant, const struct image *image, uint64_t number)
{
	uint64_t state = number;
	int changes = 1 + below(&state, 3);
	size_t first = 0;

	mutant_copy(mutant, image);
	for (int i = 0; i < changes; i++) {
		int record = any_record(image, &state);
		size_t at = image->at[record] + below(&state, length_of(image, record));

		mutant->data[at] = draw(&state);
		if (!i)
			first = at;
	}
	TOLD(mutant, "%d bytes, the first at %zu", changes, first);
}

#endif /* LAB_MUTANT_H */
