/* SPDX-License-Identifier: GPL-2.0 */
/* What a directory holds, as one sorted, comparable line of text. */
#ifndef LAB_NAMES_H
#define LAB_NAMES_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "errno_assert.h"

struct names {
	int count;
	char name[32][256];
};

static inline int names_compare(const void *left, const void *right)
{
	return strcmp(left, right);
}

static inline struct names names_in(struct __test_metadata *_metadata, const char *path)
{
	cleanup_closedir DIR *dir = opendir(path);
	struct names found = { 0 };
	struct dirent *entry;

	if (!dir)
		FAIL("opendir(%s): %s, expected success", path, errno_text(-errno).text);
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (found.count == (int)(sizeof(found.name) / sizeof(found.name[0])))
			FAIL("%s holds more than %d names", path, found.count);
		snprintf(found.name[found.count++], sizeof(found.name[0]), "%s", entry->d_name);
	}
	qsort(found.name, found.count, sizeof(found.name[0]), names_compare);
	return found;
}

static inline void names_join(const struct names *names, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (int i = 0; i < names->count && used < size; i++)
		used += snprintf(text + used, size - used, "%s%s", i ? " " : "", names->name[i]);
}

static inline void assert_names(struct __test_metadata *_metadata, const char *file, int line, const char *path,
				const char *wanted)
{
	struct names found = names_in(_metadata, path);
	static char text[sizeof(found.name)];

	names_join(&found, text, sizeof(text));
	if (strcmp(text, wanted))
		fail_at(_metadata, file, line, "%s holds '%s', expected '%s'", path, text, wanted);
}

/* The directory holds exactly these names: ASSERT_NAMES(".", "a b lost+found"), sorted, "" for none. */
#define ASSERT_NAMES(path, wanted) assert_names(_metadata, __FILE__, __LINE__, path, wanted)

#endif /* LAB_NAMES_H */
