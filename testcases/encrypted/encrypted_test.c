// SPDX-License-Identifier: GPL-2.0
/*
 * Encrypted directories, and directories that fold the case of names.
 *
 * The name of an unlinked file is made outside its directory, so its contents
 * stay encrypted under a name that is not. That is allowed: a link into a plain
 * directory is. What is not is a link from one encrypted directory into one of
 * another policy: EXDEV. Without the key the name can be found, and the file
 * not be opened.
 *
 * Where case is folded, the old name of a file and a new one may differ and be
 * the same all the same.
 *
 * Without relinking every checkpoint of an unlinked file is refused with EBADF.
 */
#define _GNU_SOURCE
#include <linux/fs.h>
#include <linux/fscrypt.h>
#include <sys/ioctl.h>

#include "orphan.h"
#include "relink.h"

FIXTURE(encrypted)
{
	struct stage stage;
};

FIXTURE_SETUP(encrypted)
{
	stage_set_up(_metadata, &self->stage);
}

FIXTURE_TEARDOWN(encrypted)
{
	stage_tear_down(_metadata, &self->stage);
}

/* A key made of one byte, and its name. */
static struct fscrypt_key_specifier add_key(struct __test_metadata *_metadata, char byte)
{
	char room[sizeof(struct fscrypt_add_key_arg) + FSCRYPT_MAX_KEY_SIZE] __attribute__((aligned(8))) = "";
	struct fscrypt_add_key_arg *arg = (void *)room;
	cleanup_close int root = ASSERT_OK(open(".", O_RDONLY | O_DIRECTORY));

	arg->key_spec.type = FSCRYPT_KEY_SPEC_TYPE_IDENTIFIER;
	arg->raw_size = FSCRYPT_MAX_KEY_SIZE;
	memset(arg->raw, byte, FSCRYPT_MAX_KEY_SIZE);
	ASSERT_OK(ioctl(root, FS_IOC_ADD_ENCRYPTION_KEY, arg));
	return arg->key_spec;
}

static void remove_key(struct __test_metadata *_metadata, const struct fscrypt_key_specifier *key)
{
	struct fscrypt_remove_key_arg arg = { .key_spec = *key };
	cleanup_close int root = ASSERT_OK(open(".", O_RDONLY | O_DIRECTORY));

	ASSERT_OK(ioctl(root, FS_IOC_REMOVE_ENCRYPTION_KEY, &arg));
	ASSERT_EQ(0, (int)arg.removal_status_flags);
}

static void encrypt_directory(struct __test_metadata *_metadata, const char *path,
			      const struct fscrypt_key_specifier *key)
{
	cleanup_close int fd = ASSERT_OK(open(path, O_RDONLY | O_DIRECTORY));
	struct fscrypt_policy_v2 policy = {
		.version = FSCRYPT_POLICY_V2,
		.contents_encryption_mode = FSCRYPT_MODE_AES_256_XTS,
		.filenames_encryption_mode = FSCRYPT_MODE_AES_256_CTS,
		.flags = FSCRYPT_POLICY_FLAGS_PAD_32,
	};

	memcpy(policy.master_key_identifier, key->u.identifier, sizeof(policy.master_key_identifier));
	ASSERT_OK(ioctl(fd, FS_IOC_SET_ENCRYPTION_POLICY, &policy));
}

/* An empty directory d that is encrypted with a key of this byte. */
static struct fscrypt_key_specifier encrypted_directory(struct __test_metadata *_metadata, char byte)
{
	struct fscrypt_key_specifier key = add_key(_metadata, byte);

	ASSERT_OK(mkdir("d", 0700));
	encrypt_directory(_metadata, "d", &key);
	return key;
}

SUBJECT(of_encrypted)
{
	int fd = new_orphan("d/a", "secret");
	struct stat before = subject_stat(fd);

	come_back();
	MUST_EQ(before.st_ino, subject_stat(fd).st_ino);
	must_be_orphan(fd, "secret");
}

/*
 * 1. open d/a in an encrypted directory, unlink it.
 * 2. Checkpoint: a name in the plain directory, through which the contents are
 *    read while the key is there. Restart.
 */
TEST_F(encrypted, file_of_an_encrypted_directory)
{
	struct relinked relinked;

	self->stage.remains = "d lost+found";
	encrypted_directory(_metadata, 'k');
	ASSERT_CHECKPOINT(&self->stage, "of_encrypted");
	relinked = ASSERT_RELINKED(1);
	ASSERT_HOLDS(relinked.path[0], "secret");
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. as above. After the checkpoint the key is removed.
 * 2. The name is there; who opens it gets ENOKEY, and so does the restart,
 *    which spends nothing.
 * 3. The key is added again: restart.
 */
TEST_F(encrypted, key_is_missing_at_restart)
{
	struct fscrypt_key_specifier key;
	struct relinked relinked;

	self->stage.remains = "d lost+found";
	key = encrypted_directory(_metadata, 'k');
	ASSERT_CHECKPOINT(&self->stage, "of_encrypted");
	remove_key(_metadata, &key);
	relinked = ASSERT_RELINKED(1);
	ASSERT_ERRNO_EQ(-ENOKEY, open(relinked.path[0], O_RDONLY));
	ASSERT_RESTART_ERRNO(-ENOKEY, &self->stage);
	ASSERT_RELINKED(1);
	add_key(_metadata, 'k');
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. the directory for names is encrypted with another key.
 * 2. Checkpoint of a file of d, and of a plain file: EXDEV. No name.
 */
SUBJECT(refused_secret)
{
	int fd = new_orphan("d/a", "secret");

	if (event() == REFUSED)
		must_be_orphan(fd, "secret");
}

SUBJECT(refused_plain)
{
	int fd = new_orphan("a", "plain");

	if (event() == REFUSED)
		must_be_orphan(fd, "plain");
}

static void encrypt_directory_for_names(struct __test_metadata *_metadata, const struct fscrypt_key_specifier *key)
{
	ASSERT_OK(rmdir(CHECKPOINT_DIR));
	ASSERT_OK(mkdir(CHECKPOINT_DIR, 0700));
	encrypt_directory(_metadata, CHECKPOINT_DIR, key);
}

TEST_F(encrypted, directory_for_names_has_another_key)
{
	struct fscrypt_key_specifier other = add_key(_metadata, 'o');

	self->stage.remains = "d lost+found";
	encrypted_directory(_metadata, 'k');
	encrypt_directory_for_names(_metadata, &other);
	ASSERT_CHECKPOINT_ERRNO(-EXDEV, &self->stage, "refused_secret");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

TEST_F(encrypted, directory_for_names_is_encrypted_and_the_file_is_not)
{
	struct fscrypt_key_specifier other = add_key(_metadata, 'o');

	encrypt_directory_for_names(_metadata, &other);
	ASSERT_CHECKPOINT_ERRNO(-EXDEV, &self->stage, "refused_plain");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * 1. the directory for names is encrypted as d is.
 * 2. Checkpoint: one name, encrypted on disk and readable with the key. Restart.
 */
TEST_F(encrypted, directory_for_names_has_the_same_key)
{
	struct fscrypt_key_specifier key;

	self->stage.remains = "d lost+found";
	key = encrypted_directory(_metadata, 'k');
	encrypt_directory_for_names(_metadata, &key);
	ASSERT_CHECKPOINT(&self->stage, "of_encrypted");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

static void fold_case(struct __test_metadata *_metadata, const char *path)
{
	cleanup_close int fd = -1;
	int flags = 0;

	ASSERT_OK(mkdir(path, 0700));
	fd = ASSERT_OK(open(path, O_RDONLY | O_DIRECTORY));
	ASSERT_OK(ioctl(fd, FS_IOC_GETFLAGS, &flags));
	flags |= FS_CASEFOLD_FL;
	ASSERT_OK(ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

/*
 * 1. in a directory that folds case: open Name, unlink NAME, make nAmE.
 * 2. Checkpoint: one name, of the first file. Restart: two files.
 */
SUBJECT(other_case)
{
	int fd = new_file("d/Name", "first");

	MUST(unlink("d/NAME"));
	close(new_file("d/nAmE", "second"));
	come_back();
	must_be_orphan(fd, "first");
}

TEST_F(encrypted, name_reused_in_another_case)
{
	fold_case(_metadata, "d");
	ASSERT_CHECKPOINT(&self->stage, "other_case");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_HOLDS("d/name", "second");
	remove_tree(_metadata, "d");
}

/*
 * 1. as above, but the file is linked back as NAME.
 * 2. Checkpoint: no name is made, it has one. Restart: the same inode.
 */
SUBJECT(back_in_other_case)
{
	int fd = new_file("d/Name", "first");
	ino_t inode = subject_stat(fd).st_ino;

	MUST(link("d/Name", "b"));
	MUST(unlink("d/name"));
	MUST(link("b", "d/NAME"));
	MUST(unlink("b"));
	come_back();
	MUST_EQ(inode, subject_stat(fd).st_ino);
	MUST_EQ(1, subject_stat(fd).st_nlink);
	MUST_HOLD("first", fd);
}

TEST_F(encrypted, name_linked_back_in_another_case)
{
	fold_case(_metadata, "d");
	ASSERT_CHECKPOINT(&self->stage, "back_in_other_case");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_RESTART(&self->stage);
	ASSERT_HOLDS("d/NAME", "first");
	remove_tree(_metadata, "d");
}

SUBJECT_HARNESS_MAIN
