/** Where the home folder is. Apart from what is in it: the command line needs to know no more to show its help. */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

/** Names the home folder in the environment. */
export const HOME_VARIABLE = 'BLOBS_HOME'

/** The folder in the user's own where a home is by default. */
export const DEFAULT_HOME = '.blobs'

/** A URL stands where none can. The message does not repeat it: there may be a secret in it, or in one that was meant. */
export class UnexpectedUrlError extends Error {
  override readonly name = 'UnexpectedUrlError'
  readonly code = 'ERR_USAGE'
}

/**
 * Whether a text is a URL, such as `http://…`, or was to be one: with a slash too few, without the scheme. As a path it would be
 * shown, and with it what is a secret in it.
 */
export function isUrl(text: string): boolean {
  return /^[a-z0-9+.-]+:\/\//i.test(text) || /^[^@]*:[^@]*@[^/]/.test(text)
}

/**
 * The home folder's path: as given, else as the environment says, else `~/.blobs`.
 *
 * @throws UnexpectedUrlError
 */
export function homePath(given: string | undefined, env: NodeJS.ProcessEnv = process.env): string {
  // An empty variable counts as unset, as everywhere.
  const path = given ?? (env[HOME_VARIABLE] || join(homedir(), DEFAULT_HOME))
  if (isUrl(path)) throw new UnexpectedUrlError('a home is named by its folder, not by a URL')
  return resolve(path)
}
