/*
 * Sits between a process and its disk, by LD_PRELOAD, and makes the disk fail where a test says so. See shim.ts.
 *
 *   SHIM_FOLDER  Only this folder and what is below it is looked at. Nothing is done where it is not set.
 *   SHIM_FAULT   action:call:n[:part] — what is done at the n-th such call on a path that contains the part; a part with
 *                "$" at its end is the end of the path.
 *
 *       action   eio enospc eacces erofs emfile   the call fails so, once; "eio+" from then on
 *                short                            a write writes half of it and says so
 *                kill-before kill-after           SIGKILL before or after the call is done
 *                kill-amid                        SIGKILL when half of a write is written
 *                stop-before stop-after           SIGSTOP, likewise
 *                lie                              flushes do nothing and succeed, from then on
 *       call     write   a write or a truncation
 *                flush   fsync, fdatasync, msync, and a write to a file opened with O_DSYNC or O_SYNC
 *                name    mkdir, rename (by the old path), unlink, rmdir, and an open that may create
 *                any     each of these
 *
 *   SHIM_FROM    Calls are counted once this file exists; without it from the start.
 *   SHIM_TRACE   A file that gets a line for each call on a watched file, when it is done:
 *                    <call> <function> <path> <result> <bytes>
 *                and "fault <action> <path> …" where the fault was.
 *   SHIM_TEXT    If set, lines end with what was written, unprintable bytes as dots; and what goes to sockets is
 *                traced too, before it goes: "socket <function> <fd> 0 <bytes> <text>".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, FLUSH = 2, NAME = 4 };

static const struct { const char *name; int error; } errors[] = {
  {"eio", EIO}, {"enospc", ENOSPC}, {"eacces", EACCES}, {"erofs", EROFS}, {"emfile", EMFILE},
};

static char folder[4096];
static char action[32];
static char part[1024];
static int calls, wanted, lasting, fault_error, with_text, trace = -1;
static const char *from;
static long seen;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void parse_fault(const char *fault) {
  char call[16] = "";
  if (sscanf(fault, "%31[^:]:%15[^:]:%d:%1023[^\n]", action, call, &wanted, part) < 3) abort();
  lasting = action[strlen(action) - 1] == '+' || !strcmp(action, "lie");
  action[strcspn(action, "+")] = 0;
  calls = !strcmp(call, "write") ? WRITE : !strcmp(call, "flush") ? FLUSH : !strcmp(call, "name") ? NAME : WRITE | FLUSH | NAME;
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (!strcmp(action, errors[i].name)) fault_error = errors[i].error;
}

__attribute__((constructor)) static void begin(void) {
  const char *below = getenv("SHIM_FOLDER"), *fault = getenv("SHIM_FAULT"), *to = getenv("SHIM_TRACE");
  if (!below || !*below) return;
  if (!realpath(below, folder)) snprintf(folder, sizeof folder, "%s", below);
  if (fault && *fault) parse_fault(fault);
  from = getenv("SHIM_FROM");
  with_text = getenv("SHIM_TEXT") != NULL;
  if (to && *to) trace = syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* ---- What is looked at ---- */

static int is_watched(const char *path) {
  size_t length = strlen(folder);
  return length > 0 && !strncmp(path, folder, length) && (path[length] == '/' || path[length] == 0);
}

static int path_of(int fd, char *path, size_t size) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, size - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return is_watched(path);
}

static int write_calls(int fd) {
  int flags = syscall(SYS_fcntl, fd, F_GETFL, 0);
  return flags >= 0 && (flags & (O_DSYNC | O_SYNC)) ? WRITE | FLUSH : WRITE;
}

static int is_socket(int fd) {
  struct stat status;
  return with_text && fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

/* ---- What is traced ---- */

static void line(const char *call, const char *name, const char *path, long result, const struct iovec *iov, int count) {
  if (trace < 0) return;
  size_t bytes = 0, at;
  for (int i = 0; i < count; i++) bytes += iov[i].iov_len;
  char *text = malloc(strlen(path) + 128 + (with_text ? bytes : 0));
  at = sprintf(text, "%s %s %s %ld %zu ", call, name, path, result, bytes);
  for (int i = 0; with_text && i < count; i++)
    for (size_t j = 0; j < iov[i].iov_len; j++) {
      unsigned char byte = ((unsigned char *)iov[i].iov_base)[j];
      text[at++] = byte >= 32 && byte < 127 ? byte : '.';
    }
  text[at++] = '\n';
  syscall(SYS_write, trace, text, at);
  free(text);
}

static void trace_socket(const char *name, int fd, const struct iovec *iov, int count) {
  char at[16];
  if (folder[0] == 0 || trace < 0 || !is_socket(fd)) return;
  sprintf(at, "%d", fd);
  line("socket", name, at, 0, iov, count);
}

/* ---- What is done ---- */

static int is_part(const char *path) {
  size_t length = strlen(part), whole = strlen(path);
  if (length == 0 || part[length - 1] != '$') return strstr(path, part) != NULL;
  return whole >= length - 1 && !strncmp(path + whole - (length - 1), part, length - 1);
}

/* Whether this call is the one, or one after it where the fault lasts. */
static int is_due(int kind, const char *path) {
  if (wanted == 0 || !(calls & kind) || !is_part(path)) return 0;
  if (from && syscall(SYS_faccessat, AT_FDCWD, from, F_OK) != 0) return 0;
  pthread_mutex_lock(&mutex);
  long n = ++seen;
  pthread_mutex_unlock(&mutex);
  return lasting ? n >= wanted : n == wanted;
}

static void signalled(const char *when) {
  int kill_now = !strncmp(action, "kill-", 5), stop_now = !strncmp(action, "stop-", 5);
  if ((!kill_now && !stop_now) || strcmp(action + 5, when)) return;
  kill(getpid(), kill_now ? SIGKILL : SIGSTOP);
  /* A signal to oneself may come a moment later, and by then nothing more is to be done. */
  for (int i = 0; i < (kill_now ? 10000 : 10); i++) usleep(1000);
}

struct request {
  int kind;
  const char *name;
  const char *path;
  const struct iovec *iov;
  int count;
  long number, a, b, c, d, e;
};

static const char *call_name(int kind) {
  return kind & FLUSH ? "flush" : kind & NAME ? "name" : "write";
}

static long half(const struct request *r) {
  if (r->number == SYS_write || r->number == SYS_pwrite64) return syscall(r->number, r->a, r->b, r->c / 2, r->d);
  if (r->number == SYS_writev || r->number == SYS_pwritev)
    return syscall(r->number, r->a, r->b, r->c > 1 ? r->c / 2 : 1, r->d, r->e);
  return syscall(r->number, r->a, r->b, r->c, r->d, r->e);
}

static long perform(const struct request *r, int due) {
  if (due && fault_error) return errno = fault_error, -1;
  if (due && !strcmp(action, "short")) return half(r);
  if (due && !strcmp(action, "kill-amid")) half(r), signalled("amid");
  if (due && !strcmp(action, "lie") && !(r->kind & WRITE)) return 0;
  return syscall(r->number, r->a, r->b, r->c, r->d, r->e);
}

static long watched(struct request r) {
  int due = is_due(r.kind, r.path);
  if (due) line("fault", action, r.path, 0, NULL, 0);
  if (due) signalled("before");
  long result = perform(&r, due);
  int error = errno;
  line(call_name(r.kind), r.name, r.path, result < 0 ? -error : result, r.iov, r.count);
  if (due) signalled("after");
  errno = error;
  return result;
}

/* ---- The calls ---- */

#define THROUGH(kind_, name_, path_, iov_, count_, ...) \
  watched((struct request){kind_, name_, path_, iov_, count_, __VA_ARGS__})

static ssize_t written(const char *name, int fd, const struct iovec *iov, int count, long number, long b, long c, long d) {
  char path[4096];
  if (folder[0] && path_of(fd, path, sizeof path)) return THROUGH(write_calls(fd), name, path, iov, count, number, fd, b, c, d, 0);
  trace_socket(name, fd, iov, count);
  return syscall(number, fd, b, c, d, 0);
}

ssize_t write(int fd, const void *data, size_t size) {
  struct iovec one = {(void *)data, size};
  return written("write", fd, &one, 1, SYS_write, (long)data, size, 0);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
  struct iovec one = {(void *)data, size};
  return written("pwrite", fd, &one, 1, SYS_pwrite64, (long)data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }

ssize_t writev(int fd, const struct iovec *iov, int count) {
  return written("writev", fd, iov, count, SYS_writev, (long)iov, count, 0);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int count, off64_t at) {
  return written("pwritev", fd, iov, count, SYS_pwritev, (long)iov, count, at);
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t at) { return pwritev64(fd, iov, count, at); }

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  trace_socket("sendmsg", fd, message->msg_iov, message->msg_iovlen);
  return syscall(SYS_sendmsg, fd, message, flags);
}

static int on_file(int kind, const char *name, int fd, long number, long b) {
  char path[4096];
  if (folder[0] && path_of(fd, path, sizeof path)) return THROUGH(kind, name, path, NULL, 0, number, fd, b, 0, 0, 0);
  return syscall(number, fd, b);
}

int fdatasync(int fd) { return on_file(FLUSH, "fdatasync", fd, SYS_fdatasync, 0); }
int fsync(int fd) { return on_file(FLUSH, "fsync", fd, SYS_fsync, 0); }
int ftruncate64(int fd, off64_t size) { return on_file(WRITE, "ftruncate", fd, SYS_ftruncate, size); }
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

/* Mapped memory has no file that could be asked for; it counts as the folder's own. */
int msync(void *at, size_t size, int flags) {
  if (!folder[0]) return syscall(SYS_msync, at, size, flags);
  return THROUGH(FLUSH, "msync", folder, NULL, 0, SYS_msync, (long)at, size, flags, 0, 0);
}

static int by_path(const char *name, const char *path, long number, long a, long b, long c, long d, long e) {
  char whole[4096];
  snprintf(whole, sizeof whole, "%s", path);
  if (path[0] != '/' && getcwd(whole, sizeof whole))
    snprintf(whole + strlen(whole), sizeof whole - strlen(whole), "/%s", path);
  if (is_watched(whole)) return THROUGH(NAME, name, whole, NULL, 0, number, a, b, c, d, e);
  return syscall(number, a, b, c, d, e);
}

int mkdir(const char *path, mode_t mode) {
  return by_path("mkdir", path, SYS_mkdirat, AT_FDCWD, (long)path, mode, 0, 0);
}

int rename(const char *old, const char *new) {
  return by_path("rename", old, SYS_renameat2, AT_FDCWD, (long)old, AT_FDCWD, (long)new, 0);
}

int unlink(const char *path) { return by_path("unlink", path, SYS_unlinkat, AT_FDCWD, (long)path, 0, 0, 0); }

int rmdir(const char *path) { return by_path("rmdir", path, SYS_unlinkat, AT_FDCWD, (long)path, AT_REMOVEDIR, 0, 0); }

/* A disk whose flushes are lies has no synchronous files either. */
static int opened(int at, const char *path, int flags, mode_t mode) {
  if (folder[0] && !strcmp(action, "lie") && is_watched(path)) flags &= ~(O_DSYNC | O_SYNC);
  if (!(flags & O_CREAT)) return syscall(SYS_openat, at, path, flags, mode);
  return by_path("open", path, SYS_openat, at, (long)path, flags, mode, 0);
}

#define OPEN(at)                                  \
  mode_t mode = 0;                                \
  if (flags & (O_CREAT | __O_TMPFILE)) {          \
    va_list arguments;                            \
    va_start(arguments, flags);                   \
    mode = va_arg(arguments, mode_t);             \
    va_end(arguments);                            \
  }                                               \
  return opened(at, path, flags, mode);

int open(const char *path, int flags, ...) { OPEN(AT_FDCWD) }
int open64(const char *path, int flags, ...) { OPEN(AT_FDCWD) }
int openat(int at, const char *path, int flags, ...) { OPEN(at) }
int openat64(int at, const char *path, int flags, ...) { OPEN(at) }
