/** With what the program ends. Scripts rely on these: a number is never given another meaning. */

export const EXIT = {
  /** All went well. */
  ok: 0,
  /** Something failed that has no number of its own; for `verify`: something is missing that a tag names. */
  failed: 1,
  /** The command line or the configuration is wrong; nothing was done. */
  usage: 2,
  /** The blob is not there: not in the store, or not at the provider. */
  notFound: 3,
  /** No provider could be reached, or it went away; or the storage of the blobs did. What has arrived is kept. */
  unreachable: 4,
  /** There is something already where a file or folder was to be written. */
  targetExists: 5,
  /** There is no room left: on the disk, or within `max_size`. */
  full: 6,
  /** What came in, or is stored, is not what it should be: wrong bytes, or names that are unsafe as files. */
  badData: 7,
  /** The other side refused: a peer, or the storage of the blobs. */
  refused: 8,
  /** Who read the output has gone (128 + SIGPIPE). */
  outputClosed: 141,
  /** Stopped by Ctrl-C (128 + SIGINT). */
  interrupted: 130,
  /** Stopped by SIGTERM (128 + SIGTERM). */
  terminated: 143
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** As `--help` tells them. */
export const EXIT_HELP = `
Exit codes:
  0  all went well              5  the target exists already
  1  failed                     6  no room is left
  2  wrong usage or config      7  wrong, damaged or unsafe data
  3  the blob is not there      8  the other side refused
  4  nobody could be reached    130, 143  stopped by Ctrl-C, SIGTERM`
