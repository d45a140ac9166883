/* Cleanup attributes: the resource goes when its scope does. */
#ifndef COMMON_CLEANUP_H
#define COMMON_CLEANUP_H

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* unused: clang does not count the cleanup as a use. */
#define CLEANUP(fn) __attribute__ ((cleanup (fn), unused))
#define CLEANUP_FREE CLEANUP (cleanup_free)
#define CLEANUP_CLOSE CLEANUP (cleanup_close)
#define CLEANUP_FCLOSE CLEANUP (cleanup_fclose)
#define CLEANUP_CLOSEDIR CLEANUP (cleanup_closedir)
#define MUST_CHECK __attribute__ ((warn_unused_result))

/* Holds the mutex until the end of the enclosing scope. */
#define CLEANUP_CONCAT_(a, b) a##b
#define CLEANUP_CONCAT(a, b) CLEANUP_CONCAT_ (a, b)
#define LOCK_FOR_SCOPE(mutex)                                                           \
  CLEANUP (cleanup_unlock) pthread_mutex_t *CLEANUP_CONCAT (lock_, __LINE__) = (mutex); \
  pthread_mutex_lock (CLEANUP_CONCAT (lock_, __LINE__))

static inline void
cleanup_free (void *ptr)
{
  free (*(void **)ptr);
}

static inline void
cleanup_close (int *fd)
{
  if (*fd >= 0)
    close (*fd);
}

static inline void
cleanup_fclose (FILE **f)
{
  if (*f)
    fclose (*f);
}

static inline void
cleanup_closedir (DIR **d)
{
  if (*d)
    closedir (*d);
}

static inline void
cleanup_unlock (pthread_mutex_t **mutex)
{
  pthread_mutex_unlock (*mutex);
}

#endif
