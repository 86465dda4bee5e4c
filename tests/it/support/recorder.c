/* Records the writes and syncs of a process to a store, in order. Preloaded by tests/it/power_loss.rs.
 *
 * Fails writes with ENOSPC while the file named by CIDERY_FULL exists, and appends a byte to it for each. Preloaded by
 * tests/it/full_disk.rs.
 *
 * Fails syncs while the file named by CIDERY_BROKEN contains 1 (the database) or 2 (its log). Preloaded by
 * tests/it/failed_sync.rs.
 *
 * An entry: operation (1 byte), file (1 byte), offset and length (8 bytes each, native byte order), content. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, TRUNCATE = 3 };

static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static const char *full, *broken;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off64_t);

__attribute__((constructor)) static void start(void) {
  real_write = dlsym(RTLD_NEXT, "write");
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
  const char *path = getenv("CIDERY_RECORD");
  full = getenv("CIDERY_FULL");
  broken = getenv("CIDERY_BROKEN");
  if (path) log_fd = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
}

/* 1 the database, 2 its log, 3 the answers; 0 any other file. */
static int file_of(int fd) {
  char link[64], path[4096];
  if ((log_fd < 0 && !full && !broken) || fd == log_fd) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  const char *name = strrchr(path, '/');
  if (!name) return 0;
  if (!strcmp(name, "/cidery.db")) return 1;
  if (!strcmp(name, "/cidery.db-wal")) return 2;
  if (!strcmp(name, "/answers")) return 3;
  return 0;
}

static int is_full(int file) {
  int fd = full && file != 3 ? open(full, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
  if (fd < 0) return 0;
  if (real_write(fd, "x", 1) != 1) abort();
  close(fd);
  errno = ENOSPC;
  return 1;
}

static int is_broken(int file) {
  int fd = broken ? open(broken, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return 0;
  char which = 0;
  int breaks = read(fd, &which, 1) == 1 && which == '0' + file;
  close(fd);
  if (breaks) errno = EIO;
  return breaks;
}

static void note(int operation, int file, uint64_t offset, uint64_t length, const void *content) {
  if (log_fd < 0) return;
  unsigned char head[18] = {(unsigned char)operation, (unsigned char)file};
  memcpy(head + 2, &offset, 8);
  memcpy(head + 10, &length, 8);
  if (real_write(log_fd, head, sizeof head) != sizeof head) abort();
  if (operation == WRITE && real_write(log_fd, content, length) != (ssize_t)length) abort();
}

ssize_t write(int fd, const void *content, size_t length) {
  int file = file_of(fd);
  if (!file) return real_write(fd, content, length);
  if (is_full(file)) return -1;
  pthread_mutex_lock(&order);
  off64_t offset = lseek64(fd, 0, SEEK_CUR);
  ssize_t written = real_write(fd, content, length);
  if (written > 0) note(WRITE, file, (uint64_t)offset, (uint64_t)written, content);
  pthread_mutex_unlock(&order);
  return written;
}

ssize_t pwrite64(int fd, const void *content, size_t length, off64_t offset) {
  int file = file_of(fd);
  if (!file) return real_pwrite(fd, content, length, offset);
  if (is_full(file)) return -1;
  pthread_mutex_lock(&order);
  ssize_t written = real_pwrite(fd, content, length, offset);
  if (written > 0) note(WRITE, file, (uint64_t)offset, (uint64_t)written, content);
  pthread_mutex_unlock(&order);
  return written;
}

ssize_t pwrite(int fd, const void *content, size_t length, off_t offset) {
  return pwrite64(fd, content, length, offset);
}

static int synced(int fd, int (*sync)(int)) {
  int file = file_of(fd);
  if (!file) return sync(fd);
  if (is_broken(file)) return -1;
  pthread_mutex_lock(&order);
  int failed = sync(fd);
  if (!failed) note(SYNC, file, 0, 0, NULL);
  pthread_mutex_unlock(&order);
  return failed;
}

int fsync(int fd) { return synced(fd, real_fsync); }
int fdatasync(int fd) { return synced(fd, real_fdatasync); }

int ftruncate64(int fd, off64_t length) {
  int file = file_of(fd);
  if (!file) return real_ftruncate(fd, length);
  pthread_mutex_lock(&order);
  int failed = real_ftruncate(fd, length);
  if (!failed) note(TRUNCATE, file, 0, (uint64_t)length, NULL);
  pthread_mutex_unlock(&order);
  return failed;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }
