/** Limits of hashing on threads. */

/** Threads, at most. Each takes about 16 MiB of memory; more than four write faster than disks do. */
export const MOST_THREADS = 4

/**
 * Bytes in one job, whole runs. Larger ones take longer to be given up when an add is aborted; smaller ones make the main thread
 * do more.
 */
export const JOB_BYTES = 4 * 1024 * 1024

/** Jobs that a thread has at a time, so that it need not wait for the next. */
export const JOBS_PER_THREAD = 2

/** Milliseconds without work after which the threads end. To start them takes about 100 ms. */
export const IDLE_MS = 2000

/** Files of at least so many bytes go to the threads: of smaller ones most of the time would be their start. */
export const WORTH_BYTES = 16 * 1024 * 1024
